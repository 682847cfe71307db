"""The flusher: one for all runs, which no run's trouble ends."""

from __future__ import annotations

import pytest

from app.capture.flusher import Flusher
from tests.waiting import wait_until


class Visited:
    """What the flusher visits; a `broken` one raises."""

    busy = False

    def __init__(self, *, broken: bool = False) -> None:
        self.visits, self._broken = 0, broken

    def tick(self) -> None:
        """As Ticking.tick."""
        self.visits += 1
        if self._broken:
            raise MemoryError


def test_one_that_fails_holds_no_other_up(caplog: pytest.LogCaptureFixture) -> None:
    """Another one is visited on, and the log says what happened."""
    flusher, broken, other = Flusher(0.001), Visited(broken=True), Visited()
    flusher.add(broken)
    flusher.add(other)
    wait_until(lambda: broken.visits > 1 and other.visits > 1)
    flusher.remove(broken)
    flusher.remove(other)
    assert "could not be passed on" in caplog.text
