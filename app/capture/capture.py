"""A run's capture: its pipe, its writers, its threads, and what its code did to `sys.stdout`."""

from __future__ import annotations

import concurrent.futures.thread
import threading
import time
from typing import Any, TextIO

from app.capture.flusher import FLUSHER, Flusher
from app.capture.pipe import ROOM_POLL_SECONDS, Pipe
from app.capture.writer import Writer
from app.model import Stream

# A second line within this time is a flood: lines are collected from then on.
FLOOD_SECONDS = 0.002
# After so many visits of the flusher without news a flood is over.
QUIET_TICKS = 3
# After so many there is nothing left of it that was on its way as it ended.
CALM_TICKS = 10
# An unfinished line of one among several threads waits this long for its end, so that no other line comes between; in
# a flood longer, since there a thread may wait that long between a line's text and its end.
HOLD_SECONDS = 0.5
BUSY_HOLD_SECONDS = 2.0
# A thread that the system has begun comes to life within this, however busy it is.
BEGINS_SECONDS = 1.0
_POOL_WORKER = concurrent.futures.thread._worker


class Capture:
    """A run's output as its threads see it."""

    def __init__(self, pipe: Pipe, flusher: Flusher = FLUSHER) -> None:
        self.pipe, self._flusher = pipe, flusher
        self.lock = threading.RLock()
        self.turn: Writer | None = None
        self.busy = False
        self.replaced: dict[Stream, TextIO] = {}
        self.closed: set[Stream] = set()
        self.threads: list[threading.Thread] = []
        self._writers: list[Writer] = []
        self._last_line = 0.0
        self._quiet = CALM_TICKS + 1
        flusher.add(self)

    @property
    def within(self) -> bool:
        """Is the calling thread about to pass output on?"""
        return self.lock._is_owned()  # type: ignore[attr-defined, no-any-return] # as threading.Condition asks it

    def writer(self, stream: Stream, door: dict[str, Any]) -> Writer:
        """A new writer for the calling thread, whose prints look into `door`."""
        writer = Writer(self, stream, door)
        with self.lock:
            self._writers.append(writer)
        return writer

    def note_line(self) -> bool:
        """Under the lock: a line was written; True where lines come so fast that the flusher takes over."""
        now = time.monotonic()
        if now - self._last_line < FLOOD_SECONDS:
            self.busy, self._quiet = True, 0
            self._flusher.wake()
        self._last_line = now
        return self.busy

    def adopt(self, thread: threading.Thread) -> None:
        """A thread of the run is about to start."""
        with self.lock:
            self.threads = [each for each in self.threads if not _is_over(each)]
            self.threads.append(thread)

    def disown(self, thread: threading.Thread, *, may_begin: bool) -> None:
        """The thread did not start, and nobody must wait for it; unless it `may_begin`, and does."""
        if thread._started.wait(BEGINS_SECONDS if may_begin else 0):  # type: ignore[attr-defined]
            return
        with self.lock:
            self.threads = [each for each in self.threads if each is not thread]

    def wait_for_threads(self) -> None:
        """As a script waits for its threads at its end; a pool's idle workers end with the pool, not with the run."""
        while thread := next(filter(_is_waited_for, self.threads), None):
            if not _has_begun(thread):
                # Another thread is about to start it.
                time.sleep(ROOM_POLL_SECONDS)
            else:
                thread.join()

    def retire(self, writer: Writer) -> None:
        """The writer's thread leaves the run: pass on what it holds."""
        with self.lock:
            writer.leave()
            if writer in self._writers:
                self._writers.remove(writer)

    def slow_down(self) -> None:
        """Send every writer's next write through the slow path."""
        with self.lock:
            for writer in self._writers:
                writer.slow_down()

    def tick(self) -> None:
        """From the flusher: pass on what is complete, and the unfinished lines once a writer is silent."""
        calm = not self.busy and self._quiet > CALM_TICKS
        if calm and not any(writer.pieces or writer.raw.rest for writer in self._writers):
            # Most runs are silent most of the time.
            return
        with self.lock:
            now = time.monotonic()
            several = len(self._writers) > len(Stream)
            hold = (BUSY_HOLD_SECONDS if self.busy else HOLD_SECONDS) if several else 0.0
            touched = False
            for writer in self._writers:
                if writer.visit():
                    touched, writer.seen = True, now
                elif writer.raw.rest and not writer.waits and now - writer.seen > hold:
                    writer.raw.release()
            if self.pipe.full:
                self.slow_down()
            if hold:
                self._writers = [w for w in self._writers if w is self.turn or w.raw.rest or w.thread.is_alive()]
            self._note_visit(touched)

    def _note_visit(self, touched: bool) -> None:
        self._quiet = 0 if touched else self._quiet + 1
        if self.busy and self._quiet >= QUIET_TICKS:
            self.busy = False
            for writer in self._writers:
                writer.calm_down()

    def flush(self) -> None:
        """Pass on everything, unfinished lines too."""
        with self.lock:
            for writer in self._writers:
                writer.drain()
                writer.raw.release()

    def close(self) -> None:
        """The run's code has ended: pass on everything, then close the pipe."""
        self._flusher.remove(self)
        with self.lock:
            self.slow_down()
            self.flush()
            self._writers.clear()
        self.pipe.close()


def _has_begun(thread: threading.Thread) -> bool:
    # Its number it has before it lives.
    return thread._started.is_set()  # type: ignore[attr-defined, no-any-return] # as threading itself asks it


def _is_over(thread: threading.Thread) -> bool:
    return _has_begun(thread) and not thread.is_alive()


def _is_waited_for(thread: threading.Thread) -> bool:
    return not _is_over(thread) and not thread.daemon and getattr(thread, "_target", None) is not _POOL_WORKER
