"""What a job's process prints goes to its two pipes: a line after silence at once, a flood in larger pieces."""

from __future__ import annotations

import fcntl
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, cast

from app.capture.capture import Capture
from app.capture.flusher import Flusher
from app.capture.pipe import Pipe
from app.capture.router import bind, let_go
from app.model import Stream

LIMIT_BYTES = 1_048_576
WRITE_BYTES = 262_144
POLL_SECONDS = 0.05
# An unfinished line waits at most so long; a process that prints nothing wakes up as often.
IDLE_SECONDS = 0.05
DESCRIPTORS = {Stream.OUT: 1, Stream.ERR: 2}
# Calls that start a program, or become one: what was printed before goes first.
STARTS = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty"})


class Outlets:
    """A run's pipes as its capture sees them: `put` never blocks; beyond LIMIT_BYTES a printing thread waits for room.

    The descriptors are its own: those that are 1 and 2 belong to the job, which may close them, and are never made
    non-blocking, since programs that the job starts share them.
    """

    def __init__(self) -> None:
        self._fds: dict[Stream, int] = {}
        self._waiting: dict[Stream, deque[memoryview]] = {stream: deque() for stream in DESCRIPTORS}
        self._size = 0
        # The capture's own, so that whoever holds that one holds this.
        self.lock: Any = threading.RLock()
        self.closed = False

    @property
    def full(self) -> bool:
        """True while printing threads should wait."""
        return self._size > LIMIT_BYTES

    def open(self) -> None:
        """The descriptors 1 and 2 are the run's now."""
        self._fds = {stream: _own(fd) for stream, fd in DESCRIPTORS.items()}

    def fileno(self, stream: Stream) -> int:
        """The descriptor that programs inherit."""
        return DESCRIPTORS[stream]

    def put(self, stream: Stream, data: bytes) -> None:
        """Under the lock: take a piece, and pass on what the pipe has room for."""
        self._size += len(data)
        self._waiting[stream].append(memoryview(data))
        self.push()

    def push(self) -> None:
        """Pass on what the pipes have room for; never blocks."""
        with self.lock:
            for stream, waiting in self._waiting.items():
                with suppress(BlockingIOError):
                    while waiting:
                        written = self._write(self._fds[stream], waiting[0])
                        self._size -= written
                        waiting[0] = waiting[0][written:]
                        if not waiting[0]:
                            waiting.popleft()

    @staticmethod
    def _write(fd: int, data: memoryview) -> int:
        try:
            return os.write(fd, data[:WRITE_BYTES])
        except BlockingIOError:
            raise
        except OSError:
            # Nobody reads any more: the run is over, and its process about to be.
            return len(data)

    def wait_for_room(self) -> None:
        """Wait while too much waits already."""
        while self.full:
            self._wait()

    def finish(self) -> None:
        """Wait until everything is passed on."""
        while self._size:
            self._wait()

    def _wait(self) -> None:
        poll = select.poll()
        for stream, waiting in self._waiting.items():
            if waiting:
                poll.register(self._fds[stream], select.POLLOUT)
        poll.poll(POLL_SECONDS * 1000)
        self.push()

    def close(self) -> None:
        """The end of the run's code."""
        self.closed = True


def _own(fd: int) -> int:
    """Another way into the pipe behind `fd`, which does not block; the same where there is no /proc."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


class _Ticked:
    """The capture as the flusher visits it: what the pipe had no room for goes on its way, too."""

    def __init__(self, capture: Capture, outlet: Outlets) -> None:
        self._capture, self._outlet = capture, outlet

    @property
    def busy(self) -> bool:
        """As the capture's; also while something waits for room."""
        return self._capture.busy or self._outlet.full

    def tick(self) -> None:
        """As the capture's."""
        self._capture.tick()
        self._outlet.push()


class Output:
    """Everything that the process prints from now on, all its threads' and, by their descriptors, all its programs'."""

    def __init__(self) -> None:
        self._outlet = Outlets()
        self._flusher = Flusher(IDLE_SECONDS)
        # It has all of a pipe that printing needs.
        self.capture = Capture(cast("Pipe", self._outlet), self._flusher)
        self.capture.lock = self._outlet.lock
        self._flusher.remove(self.capture)
        self._flusher.add(_Ticked(self.capture, self._outlet))
        bind(self.capture)
        os.register_at_fork(before=self.flush, after_in_child=self._let_go)
        sys.addaudithook(self._before_program)
        self._exit: Callable[[int], NoReturn] = os._exit
        os._exit = self.exit  # what was printed before must not be lost

    def open(self) -> None:
        """The descriptors 1 and 2 are the run's from now on; nothing may be printed before."""
        self._outlet.open()

    def flush(self) -> None:
        """Pass everything on, unfinished lines too."""
        if self.capture is not None:
            self.capture.flush()
            self._outlet.finish()

    def exit(self, status: int) -> NoReturn:
        """End the process at once, with what was printed before."""
        self.flush()
        self._exit(status)

    def _before_program(self, event: str, _args: tuple[Any, ...]) -> None:
        if event in STARTS:
            self.flush()

    def _let_go(self) -> None:
        # In a process that the job forked: its locks may be held by threads that are not there. It prints to 1 and 2.
        self.capture = None  # type: ignore[assignment]
        os._exit = self._exit  # type: ignore[assignment] # what it was
        let_go()
