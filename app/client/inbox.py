"""What a thread hands to the main thread, which waits for it beside terminals and signals."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from typing import Any

# Each at most a record of output: a reader is never further ahead.
MOST = 32
WAKE_BYTES = 4096


class Inbox:
    """A bounded queue with a descriptor, `wake`, that is readable once something is there or a signal has come."""

    def __init__(self) -> None:
        self.wake, self.rouser = os.pipe()
        for each in (self.wake, self.rouser):
            os.set_blocking(each, False)
        self._items: deque[Any] = deque()
        self._room = threading.BoundedSemaphore(MOST)
        self.closed = threading.Event()

    def put(self, item: Any) -> None:
        """Hand it over; waits while the main thread has enough."""
        while not self._room.acquire(timeout=1):
            if self.closed.is_set():
                return
        self._items.append(item)
        self.rouse()

    def rouse(self) -> None:
        """Have `wake` readable."""
        # A full pipe wakes as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self.rouser, b"\0")

    def take(self) -> Any:
        """The next, or None."""
        if not self._items:
            return None
        item = self._items.popleft()
        self._room.release()
        return item

    def settle(self) -> None:
        """Have `wake` silent until the next comes; look for items after this."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, WAKE_BYTES)

    def close(self) -> None:
        """Nothing more is taken."""
        self.closed.set()
