"""The way from a run's threads to the hub: a bounded queue of bytes that rings the hub's bell.

The bytes stay in the process: so stdout and stderr keep their order, no piece is cut by the kernel, and the bound does
not depend on how many large pipes the kernel grants.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from app.capture.bell import Bell
from app.model import Stream

ROOM_POLL_SECONDS = 0.002


class Pipe:
    """A queue of (stream, bytes) pieces; threads put, one piece of hub code at a time takes.

    `limit` is in bytes: a thread that would write while more than that is waiting sleeps first (wait_for_room).
    """

    def __init__(self, limit: int, bell: Bell) -> None:
        self._limit, self._bell = limit, bell
        self._pieces: deque[tuple[Stream, bytes]] = deque()
        # Two counters with one writer each, so that the hub needs no lock that a job's thread might hold.
        self._put_bytes = self._taken_bytes = 0
        self._put_lock = threading.Lock()
        # Somebody has been told that there is something here, and will come.
        self._told = False
        self.closed = self.ended = False

    @property
    def waiting(self) -> int:
        """Bytes that were put and not yet taken."""
        return self._put_bytes - self._taken_bytes

    @property
    def full(self) -> bool:
        """True while writers should wait."""
        return self.waiting > self._limit

    def put(self, stream: Stream, data: bytes) -> None:
        """From any thread: append a piece; never blocks. After close the piece is dropped: the run has ended."""
        with self._put_lock:
            if self.closed:
                return
            self._put_bytes += len(data)
            self._pieces.append((stream, data))
            self._ring()

    def wait_for_room(self) -> None:
        """From a job's thread: sleep while the pipe is full, as a write to a full pipe would."""
        while self.full and not self.closed:
            time.sleep(ROOM_POLL_SECONDS)

    def close(self) -> None:
        """From any thread: nothing more will come."""
        with self._put_lock:
            self.closed = True
            self._ring()

    def _ring(self) -> None:
        if not self._told:
            self._told = True
            self._bell.ring(self)

    def leave(self) -> bool:
        """From the hub, which has taken all: the next piece rings; False where there is something already, or the end.

        As long as the hub has not left, nothing here rings.
        """
        self._told = False
        if not self._pieces and not self.closed:
            return True
        self._told = True
        return False

    def take(self, limit: int) -> list[tuple[Stream, bytes]]:
        """From the hub: the next pieces, joined where the stream stays the same, about `limit` bytes at most."""
        taken: list[tuple[Stream, list[bytes]]] = []
        size = 0
        # What is put before the end is found below, also where both come at this moment.
        ends = self.closed
        while self._pieces and size < limit:
            stream, data = self._pieces.popleft()
            size += len(data)
            if taken and taken[-1][0] is stream:
                taken[-1][1].append(data)
            else:
                taken.append((stream, [data]))
        self._taken_bytes += size
        self.ended = ends and not taken
        return [(stream, parts[0] if len(parts) == 1 else b"".join(parts)) for stream, parts in taken]
