"""Channels as jobs set them: while the store is away no run fails; the newest value of each channel waits."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from app.errors import StoreUnavailable, TooMany
from app.masking import Masker
from app.stack import Stack
from app.store.channels import ChannelStore

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
MOST_WAITING = 1000


@dataclass
class _Flight:
    """A channel's values that are on their way: how many, and the number of the newest."""

    newest: int = 0
    under_way: int = 0


class ChannelWriter:
    """Sets channels for the runs of this process; called by hub code, or by any thread of a supervisor."""

    def __init__(self, stack: Stack, store: ChannelStore) -> None:
        self._stack, self._store = stack, store
        self._guard = stack.lock()
        # What could not be stored, the newest value of each channel.
        self._waiting: dict[str, str] = {}
        self._storing = False
        # Those that are being set just now.
        self._flights: dict[str, _Flight] = {}

    def set(self, name: str, value: str, masker: Masker) -> None:
        """Store a value (JSON), in which a run's secrets are masked: channels are for everybody.

        Raises: TooMany where there are as many channels as there may be.
        """
        text = _masked(value, masker)
        with self._guard:
            # A failed call must not store its value over that of a newer one.
            flight = self._flights.setdefault(name, _Flight())
            flight.newest += 1
            flight.under_way += 1
            number, waits = flight.newest, bool(self._waiting)
            begins = waits and self._keep(name, text)
        try:
            if not waits:
                self._store.set({name: text})
        except StoreUnavailable:
            with self._guard:
                begins = flight.newest == number and self._keep(name, text)
        finally:
            with self._guard:
                flight.under_way -= 1
                if not flight.under_way:
                    del self._flights[name]
        if begins:
            self._stack.spawn(self._store_later)

    def _keep(self, name: str, text: str) -> bool:
        """Under the guard: have it stored later; whether somebody has to begin with that."""
        if name in self._waiting or len(self._waiting) < MOST_WAITING:
            self._waiting[name] = text
        # One at a time: an older value must not be stored after a newer one.
        begins, self._storing = not self._storing, True
        return begins

    def _store_later(self) -> None:
        while True:
            with self._guard:
                values = dict(self._waiting)
                self._storing = bool(values)
            if not values:
                return
            try:
                self._store.set(values)
            except StoreUnavailable:
                self._stack.sleep(RETRY_SECONDS)
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
