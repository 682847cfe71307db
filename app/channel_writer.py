"""Channels as jobs set them: while the store is away no run fails; the newest value of each channel waits."""

from __future__ import annotations

import json
import logging

from app.errors import StoreUnavailable, TooMany
from app.masking import Masker
from app.stack import Stack
from app.store.channels import ChannelStore

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
MOST_WAITING = 1000


class ChannelWriter:
    """Sets channels for the runs of this process; called by hub code, or by any thread of a supervisor."""

    def __init__(self, stack: Stack, store: ChannelStore) -> None:
        self._stack, self._store = stack, store
        self._guard = stack.lock()
        # What could not be stored, the newest value of each channel.
        self._waiting: dict[str, str] = {}

    def set(self, name: str, value: str, masker: Masker) -> None:
        """Store a value (JSON), in which a run's secrets are masked: channels are for everybody.

        Raises: TooMany where there are as many channels as there may be.
        """
        text = _masked(value, masker)
        if self._keep(name, text, first=False):
            return
        try:
            self._store.set({name: text})
        except StoreUnavailable:
            self._keep(name, text, first=True)

    def _keep(self, name: str, text: str, *, first: bool) -> bool:
        """Have it stored later, where others wait or it is the `first`; False where it can be stored now."""
        with self._guard:
            if not (self._waiting or first):
                return False
            begins = not self._waiting
            if name in self._waiting or len(self._waiting) < MOST_WAITING:
                self._waiting[name] = text
        if begins:
            self._stack.spawn(self._store_later)
        return True

    def _store_later(self) -> None:
        while self._waiting:
            self._stack.sleep(RETRY_SECONDS)
            with self._guard:
                values = dict(self._waiting)
            try:
                self._store.set(values)
            except StoreUnavailable:
                continue
            except TooMany as error:
                logger.warning("%d channels are not set: %s", len(values), error)
            except Exception:
                logger.exception("%d channels are not set", len(values))
            with self._guard:
                for name, text in values.items():
                    if self._waiting.get(name) == text:
                        del self._waiting[name]


def _masked(value: str, masker: Masker) -> str:
    text = masker.mask_text(value)
    if text == value:
        return value
    try:
        json.loads(text)
    except ValueError:
        # A secret was more than a part of a text.
        return json.dumps(text)
    return text
