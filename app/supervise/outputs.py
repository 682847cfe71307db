"""A run's outputs: read from their two pipes in a thread of their own, recorded, and read to their end."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress

from app.capture.relay import Relay
from app.model import Record, Stream
from app.recorder import Recorder
from app.stack import Stack

logger = logging.getLogger(__name__)

READ_BYTES = 1_048_576
# So much at once is a flood: more is let come together, and stored while the next is prepared.
FLOOD_BYTES = 65_536
FLOOD_SECONDS = 0.002


class Outputs:
    """Reads both pipes until they end, or until `finish` was called and they are empty.

    While the store is away it waits there, and so does the job when its pipes are full; `count` is in bytes.
    """

    def __init__(
        self, pipes: tuple[int, ...], recorder: Recorder, stack: Stack, on_failure: Callable[[], object]
    ) -> None:
        self._streams = dict(zip(pipes, Stream, strict=True))
        self._recorder, self._stack, self._on_failure = recorder, stack, on_failure
        self._relay: Relay[list[Record]] = Relay(recorder.store, stack)
        self._wake, self._waker = os.pipe()
        self._finishing = False
        self._done = threading.Event()
        self.count = 0
        self.failed = False

    def start(self) -> None:
        """Read, beside the caller."""
        self._stack.spawn(self._work)

    def finish(self) -> None:
        """Nothing lives that could print: take what is there, and come back when it is stored."""
        self._finishing = True
        os.write(self._waker, b"!")
        self._done.wait()
        for fd in (*self._streams, self._wake, self._waker):
            os.close(fd)

    def _work(self) -> None:
        try:
            self._read()
            self._relay.finish()
            self._recorder.end()
        except Exception:
            logger.exception("the output of a run cannot be recorded")
            self.failed = True
            self._on_failure()
        finally:
            self._done.set()

    def _read(self) -> None:
        poll = select.poll()
        for fd in (*self._streams, self._wake):
            poll.register(fd, select.POLLIN)
        while self._streams:
            # What came before the end of all who print is there now; whoever holds a pipe after that is no run's.
            finishing = self._finishing
            ready = [fd for fd, _ in poll.poll(0 if finishing else None) if fd != self._wake]
            if finishing and not ready:
                return
            pieces = []
            # In the order in which they were opened: what is printed on both goes to stdout first.
            for fd in [each for each in self._streams if each in ready]:
                data = b""
                with suppress(BlockingIOError):
                    data = os.read(fd, READ_BYTES)
                if data:
                    pieces.append((self._streams[fd], data))
                else:
                    poll.unregister(fd)
                    del self._streams[fd]
                    os.close(fd)
            if pieces:
                self._take(pieces)

    def _take(self, pieces: list[tuple[Stream, bytes]]) -> None:
        size = sum(len(data) for _, data in pieces)
        self.count += size
        if size < FLOOD_BYTES:
            self._relay.finish()
            self._recorder.store(self._recorder.prepare(pieces))
        else:
            self._relay.hand_over(self._recorder.prepare(pieces))
            if size < READ_BYTES // 2:
                self._stack.sleep(FLOOD_SECONDS)
