"""One thread that passes on what the writers of all runs hold back: every millisecond in a flood, else now and then."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

logger = logging.getLogger(__name__)

BUSY_SECONDS = 0.001
IDLE_SECONDS = 0.01
AGAIN_SECONDS = 0.1


class Ticking(Protocol):
    """What the flusher visits: a run's capture."""

    @property
    def busy(self) -> bool:
        """Is there a flood?"""

    def tick(self) -> None:
        """Pass on what is held back; never blocks."""


class Flusher:
    """Visits every capture; starts its thread with the first one and sleeps while there is none."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._captures: tuple[Ticking, ...] = ()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, capture: Ticking) -> None:
        """Visit `capture` from now on."""
        with self._lock:
            self._captures = (*self._captures, capture)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="flusher", daemon=True)
                self._thread.start()
        self._wake.set()

    def remove(self, capture: Ticking) -> None:
        """Visit `capture` no more."""
        with self._lock:
            self._captures = tuple(each for each in self._captures if each is not capture)

    def wake(self) -> None:
        """A flood has begun: visit at once, and often."""
        self._wake.set()

    def _work(self) -> None:
        while True:
            captures = self._captures
            busy = any(capture.busy for capture in captures)
            if busy:
                time.sleep(BUSY_SECONDS)
            else:
                self._wake.wait(self._idle_seconds if captures else None)
                self._wake.clear()
            for capture in captures:
                try:
                    capture.tick()
                except Exception:
                    # Without this thread no run's unfinished lines would come any more.
                    logger.exception("what a run holds back could not be passed on, and is again")
                    time.sleep(AGAIN_SECONDS)


FLUSHER = Flusher()
