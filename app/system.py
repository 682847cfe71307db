"""The state of the whole system as this node knows it: in numbers, read once for all of its pages."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, replace
from typing import Any

from app.errors import StoreUnavailable
from app.health import Health
from app.store.census import Census, Numbers

LOOK_SECONDS = 1.0
# Where nobody looks on, the node says that it is up, and reads no more often than that.
PRESENT_SECONDS = 5.0
HEARTBEAT_SECONDS = 15
# Of very many queues the longest are named.
MOST_QUEUES = 20


class System:
    """Reads the numbers and the store's health."""

    def __init__(self, census: Census, health: Health, node: str) -> None:
        self._census, self._health, self._node = census, health, node
        self._numbers: Numbers | None = None
        self._asked = self._told = float("-inf")
        self._state: dict[str, Any] = {}

    def look(self, *, watched: bool) -> dict[str, Any] | None:
        """The state where it is another than before, or a heartbeat is due; else None.

        Called each second; while the store is away the numbers stay as they were.
        """
        now = time.monotonic()
        # A little sooner, since who calls each second may be late the time before.
        if now - self._asked > (LOOK_SECONDS if watched else PRESENT_SECONDS) - LOOK_SECONDS / 10:
            self._asked = now
            self._ask()
        state = self._now()
        if state == self._state and now - self._told < HEARTBEAT_SECONDS:
            return None
        self._state, self._told = state, now
        return {"time": time.time(), **state}

    def _ask(self) -> None:
        if not self._health.storage.available:
            # Somebody else tries it each second.
            return
        # The health of the store is another module's matter, which tells of it once.
        with contextlib.suppress(StoreUnavailable):
            self._numbers = self._census.count(self._node)

    def _now(self) -> dict[str, Any]:
        numbers = self._numbers
        if numbers is not None and len(numbers.queues) > MOST_QUEUES:
            longest = sorted(numbers.queues.items(), key=lambda item: -item[1])[:MOST_QUEUES]
            numbers = replace(numbers, queues=dict(sorted(longest)))
        return {
            "numbers": None if numbers is None else asdict(numbers),
            "storage": self._health.storage.as_dict(),
            "heartbeat": HEARTBEAT_SECONDS,
        }

    def close(self) -> None:
        """Tell the store that this node goes."""
        if self._health.storage.available:
            # Where it is away, the node counts for some seconds more.
            with contextlib.suppress(StoreUnavailable):
                self._census.leave(self._node)
