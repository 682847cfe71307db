"""Runs' outputs: what their processes print, read from two pipes for each run by one reader for all of them."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable

from app.capture import Pieces
from app.model import Record, Stream
from app.recorder import Recorder
from app.stack import Stack

logger = logging.getLogger(__name__)


class Pair:
    """A run's two pipes, as the pipe processor sees a pipe: one piece of code at a time takes."""

    def __init__(self, fds: tuple[int, ...], waits: Waits) -> None:
        self._streams, self._waits = dict(zip(fds, Stream, strict=True)), waits
        self._rung: set[int] = set()
        self._finishing = False
        self.ended = False
        for fd in fds:
            os.set_blocking(fd, False)
            waits.add(fd, self)

    def rang(self, fd: int) -> None:
        """There is something in this one of the two."""
        self._rung.add(fd)

    def take(self, limit: int) -> Pieces:
        """What is there, up to `limit` bytes of each.

        Of what came on both before anybody looked stdout's whole lines go first, and its unfinished one last: it is
        what stdout got last, and stderr would be put into it.
        """
        # Whatever came before the end of all who print is there already when that is known.
        finishing = self._finishing
        rung, self._rung = self._rung, set()
        pieces: Pieces = []
        for fd in list(self._streams):
            # One that has not rung will: what it has now may have come after what the other one is about to have.
            if rung and fd not in rung and not finishing:
                continue
            with contextlib.suppress(BlockingIOError):
                data = os.read(fd, limit)
                if data:
                    pieces.append((self._streams[fd], data))
                else:
                    self._end(fd)
        self.ended = not pieces and (finishing or not self._streams)
        if len(pieces) > 1:
            stream, data = pieces[0]
            end = data.rfind(b"\n") + 1
            pieces = [piece for piece in ((stream, data[:end]), *pieces[1:], (stream, data[end:])) if piece[1]]
        return pieces

    def leave(self) -> bool:
        """The next piece rings; False at the end."""
        if self._finishing or not self._streams:
            return False
        for fd in list(self._streams):
            self._waits.again(fd)
        return True

    def finish(self) -> None:
        """From any thread: nothing lives that could print; whoever holds a pipe after that is no run's."""
        self._finishing = True
        self._waits.ring(self)

    def close(self) -> None:
        """Nothing more is taken."""
        for fd in list(self._streams):
            self._end(fd)
        self.ended = True

    def _end(self, fd: int) -> None:
        del self._streams[fd]
        self._waits.forget(fd)
        os.close(fd)


class Waits:
    """The bell of such pairs: each pipe rings once, until `again` is called for it."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._pairs: dict[int, Pair] = {}
        self._rung: deque[Pair] = deque()
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._waker, select.EPOLLIN)

    def add(self, fd: int, pair: Pair) -> None:
        """Wait for this pipe of a pair."""
        self._pairs[fd] = pair
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLONESHOT)

    def again(self, fd: int) -> None:
        """Wait for this pipe once more."""
        self._epoll.modify(fd, select.EPOLLIN | select.EPOLLONESHOT)

    def forget(self, fd: int) -> None:
        """Wait for this pipe no more."""
        self._epoll.unregister(fd)
        del self._pairs[fd]

    def ring(self, pair: Pair) -> None:
        """From any thread: somebody should look at `pair`."""
        self._rung.append(pair)
        os.eventfd_write(self._waker, 1)

    def wait(self, _stack: Stack) -> list[Pair]:
        """Wait until there is something in a pipe; these pairs, each once."""
        found: dict[Pair, None] = {}
        for fd, _ in self._epoll.poll():
            if fd == self._waker:
                os.eventfd_read(self._waker)
                while self._rung:
                    found[self._rung.popleft()] = None
            elif pair := self._pairs.get(fd):
                # Else it has just been closed by whoever takes from it.
                pair.rang(fd)
                found[pair] = None
        return list(found)


class Outputs:
    """The recording of a run's output; `count` is in bytes.

    While the store is away it waits there, and so does the job when its pipes are full.
    """

    def __init__(
        self, fds: tuple[int, ...], waits: Waits, recorder: Recorder, on_failure: Callable[[], object]
    ) -> None:
        self.pipe, self.recorder, self._on_failure = Pair(fds, waits), recorder, on_failure
        self._done = threading.Event()
        self.count = 0
        self.failed = False

    def prepare(self, pieces: Pieces) -> list[Record]:
        """As Source.prepare."""
        self.count += sum(len(data) for _, data in pieces)
        return self.recorder.prepare(pieces)

    def store(self, prepared: list[Record]) -> None:
        """As Source.store."""
        self.recorder.store(prepared)

    def end(self, error: Exception | None) -> None:
        """As Source.end."""
        if error is not None:
            self._fail(error)
        self.pipe.close()
        self._done.set()

    def finish(self) -> None:
        """Nothing lives that could print: take what is there, and come back when it is stored."""
        if not self._done.is_set():
            self.pipe.finish()
            self._done.wait()
        if not self.failed:
            try:
                self.recorder.end()
            except Exception as error:  # noqa: BLE001 - it ends this run, and is told
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        logger.error("the output of a run cannot be recorded", exc_info=error)
        self.failed = True
        self._on_failure()
