"""The store's health as this node sees it: asked each second, told to whoever listens when it changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from app.errors import StoreUnavailable
from app.stack import Stack

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
UNKNOWN = "The storage answers in a way that nobody expected; the server's log has the details."


def _well() -> str | None:
    return None


@dataclass(frozen=True)
class Storage:
    """Can output be stored? `since` (seconds since the epoch) and `reason` where something is the matter.

    `available` with a `reason`: the store is well, what lies behind it is not.
    """

    available: bool = True
    since: float | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As the doors send it."""
        return asdict(self)


class Health:
    """Watches the store, to which `beat` writes."""

    def __init__(self, stack: Stack, beat: Callable[[], object]) -> None:
        self._stack, self._beat = stack, beat
        self._writers = self._archive = _well
        self._listeners: list[Callable[[Storage], object]] = []
        self.storage = Storage()

    def listen(self, listener: Callable[[Storage], object]) -> None:
        """Have `listener` told of each change, in the hub."""
        self._listeners.append(listener)

    def check(self) -> None:
        """Come back where output can be stored, as far as is known.

        Raises: StoreUnavailable with the reason.
        """
        if not self.storage.available:
            raise StoreUnavailable(self.storage.reason)

    def keep(self, *, writers: Callable[[], str | None], archive: Callable[[], str | None]) -> None:
        """Watch, beside the caller, for ever; `writers` and `archive` tell why they wait, or None."""
        self._writers, self._archive = writers, archive
        self._stack.spawn(self._watch)

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                logger.exception("the watch over the store failed, and goes on")
            self._stack.sleep(BEAT_SECONDS)

    def look(self) -> None:
        """Ask the store once, and tell of what has changed."""
        available, reason = self._ask()
        now = self.storage
        if (available, reason) == (now.available, now.reason):
            return
        # Another reason is still the same trouble.
        since = None if not reason else time.time() if now.since is None else now.since
        self.storage = Storage(available, since, reason)
        if reason:
            logger.warning("%s", reason)
        else:
            logger.warning("The storage is well again.")
        for listener in self._listeners:
            try:
                listener(self.storage)
            except Exception:
                # The others are told all the same.
                logger.exception("somebody could not be told how the storage is")

    def _ask(self) -> tuple[bool, str]:
        try:
            self._beat()
        except StoreUnavailable as error:
            return False, str(error)
        except Exception:
            if self.storage.reason != UNKNOWN:
                logger.exception("the store cannot be asked how it is")
            return False, UNKNOWN
        # A store that is nearly full takes a small write and refuses a large one.
        waiting = self._writers()
        return (False, waiting) if waiting else (True, self._archive() or "")
