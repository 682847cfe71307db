"""What repeats itself without end is let through a few times, and counted after that: a log must not fill the disk."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
MOST_KEYS = 1000


@dataclass
class _Window:
    ends: float
    admitted: int = 0
    refused: int = 0


@dataclass
class Floods(Generic[K]):
    """Admits `burst` things of a kind within `seconds`; of more than 1000 kinds the rest are one kind together."""

    burst: int
    seconds: float
    _windows: dict[K | None, _Window] = field(default_factory=dict)

    def admit(self, key: K) -> bool:
        """Whether another thing of this kind may pass now; if not, it is counted."""
        window = self._window(key)
        if window.admitted < self.burst:
            window.admitted += 1
            return True
        window.refused += 1
        return False

    def over(self) -> list[tuple[K | None, int]]:
        """The kinds whose time is over, with how many were refused where there were any; they begin anew.

        None stands for the rest, when there were too many kinds.
        """
        now = time.monotonic()
        ended = [(key, window) for key, window in list(self._windows.items()) if window.ends <= now]
        for key, _ in ended:
            self._windows.pop(key, None)
        return [(key, window.refused) for key, window in ended if window.refused]

    def _window(self, key: K) -> _Window:
        known = key if key in self._windows or len(self._windows) < MOST_KEYS else None
        return self._windows.setdefault(known, _Window(time.monotonic() + self.seconds))
