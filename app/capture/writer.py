"""A run's writers: one for each thread and stream, fast in a flood and immediate after silence.

`print` calls the C `TextIOWrapper.write` of its thread's writer directly while the writer is `ready`; all that is not
the plain case (first line after silence, another thread's turn, a full pipe, a closed or replaced stdout) takes
`_slow_write`. Lines of two threads never mix: a writer passes on whole lines, and its rest when it falls silent.
"""

from __future__ import annotations

import concurrent.futures.thread
import io
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO, cast

from app.capture.flusher import FLUSHER
from app.capture.pipe import ROOM_POLL_SECONDS, Pipe
from app.model import Stream

# A second line within this time is a flood: lines are collected from then on.
FLOOD_SECONDS = 0.002
# The writer's own buffer: above what a flood prints between two flushes, so that flushing is the flusher's alone.
CHUNK_BYTES = 1 << 20
# After so many visits of the flusher without news a flood is over.
QUIET_TICKS = 3
# An unfinished line of one among several threads waits this long for its end, so that no other line comes between.
HOLD_SECONDS = 0.2
# An unfinished line longer than this is passed on unfinished.
LINE_BYTES = 1 << 16
_POOL_WORKER = concurrent.futures.thread._worker


class PipeIO(io.BufferedIOBase):
    """The bytes' side of a writer (`sys.stdout.buffer`): cuts at line ends and puts into the run's pipe."""

    def __init__(self, capture: Capture, stream: Stream) -> None:
        self._capture = capture
        self._stream = stream
        self.rest = b""
        self.before: Callable[[], object] | None = None

    def writable(self) -> bool:
        """True: it is for writing."""
        return True

    def write(self, data: Any) -> int:
        """Pass whole lines on, keep the rest; returns the number of bytes given."""
        with self._capture.lock:
            piece = bytes(data)
            size = len(piece)
            if self.rest:
                piece = self.rest + piece
            end = piece.rfind(b"\n") + 1
            if not end and len(piece) > LINE_BYTES:
                end = len(piece)
            self.rest = piece[end:]
            if end:
                self._capture.pipe.put(self._stream, piece[:end] if self.rest else piece)
            return size

    def release(self) -> None:
        """Pass the unfinished line on."""
        with self._capture.lock:
            if self.rest:
                self._capture.pipe.put(self._stream, self.rest)
                self.rest = b""


class Bytes(io.BufferedIOBase):
    """`sys.stdout.buffer` of a run: bytes come after the text that was printed before them."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def writable(self) -> bool:
        """True: it is for writing."""
        return True

    def write(self, data: Any) -> int:
        """Append bytes as they are; returns their number."""
        writer = self._writer
        writer.capture.pipe.wait_for_room()
        with writer.capture.lock:
            writer.take_turn()
            writer.text.flush()
            size = writer.raw.write(data)
            writer.capture.note_line()
        return size

    def flush(self) -> None:
        """Pass everything on, the unfinished line too."""
        self._writer.flush()

    def close(self) -> None:
        """Nothing: the garbage collector calls this for the writers of threads that have ended."""


class Writer:
    """What one thread of a run prints to one stream.

    `ready` is the fast path's only question; it may be cleared by any thread and is set by the owner alone.
    """

    def __init__(self, capture: Capture, stream: Stream) -> None:
        self.capture = capture
        self.stream = stream
        self.thread = threading.current_thread()
        self.raw = PipeIO(capture, stream)
        self.text = io.TextIOWrapper(cast("io.BufferedWriter", self.raw), "utf-8", "backslashreplace", newline="\n")
        self.text._CHUNK_SIZE = CHUNK_BYTES  # type: ignore[attr-defined]
        self.buffer = Bytes(self)
        self.fast_write = self.text.write
        self.ready = False
        self.touched = False
        self.seen = 0.0

    def take_turn(self) -> None:
        """Under the capture's lock: what others printed before goes first."""
        before = self.capture.turn
        if before is not self:
            if before is not None:
                before.ready = False
                before.text.flush()
            self.capture.turn = self

    def slow_write(self, text: str) -> int:
        """Write outside the fast path: into what the run put in the stream's place, or into its own output."""
        replaced = self.capture.replaced.get(self.stream)
        return self.own_write(text) if replaced is None else replaced.write(text)

    def own_write(self, text: str) -> int:
        """Write into the run's own output; decides whether the next writes may take the fast path."""
        capture = self.capture
        if self.stream in capture.closed:
            raise ValueError("I/O operation on closed file.")
        capture.pipe.wait_for_room()
        with capture.lock:
            self.take_turn()
            size = self.text.write(text)
            if text[-1:] == "\n" and not capture.busy and not capture.note_line():
                self.text.flush()
            self.ready = capture.busy and not capture.pipe.full and not capture.replaced and not capture.closed
        return size

    def flush(self) -> None:
        """Pass everything on, the unfinished line too."""
        with self.capture.lock:
            self.take_turn()
            self.text.flush()
            self.raw.release()


class Capture:
    """A run's output as its threads see it: its pipe, its writers, and what its code did to `sys.stdout`."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.lock = threading.RLock()
        self.turn: Writer | None = None
        self.busy = False
        self.replaced: dict[Stream, TextIO] = {}
        self.closed: set[Stream] = set()
        self.threads: list[threading.Thread] = []
        self._writers: list[Writer] = []
        self._last_line = 0.0
        self._quiet = 0
        FLUSHER.add(self)

    def writer(self, stream: Stream) -> Writer:
        """A new writer for the calling thread."""
        writer = Writer(self, stream)
        with self.lock:
            self._writers.append(writer)
        return writer

    def note_line(self) -> bool:
        """Under the lock: a line was written; True where lines come so fast that the flusher takes over."""
        now = time.monotonic()
        if now - self._last_line < FLOOD_SECONDS:
            self.busy, self._quiet = True, 0
            FLUSHER.wake()
        self._last_line = now
        return self.busy

    def adopt(self, thread: threading.Thread) -> None:
        """A thread of the run is about to start."""
        with self.lock:
            self.threads = [each for each in self.threads if each.ident is None or each.is_alive()]
            self.threads.append(thread)

    def disown(self, thread: threading.Thread) -> None:
        """The thread did not start."""
        with self.lock:
            self.threads = [each for each in self.threads if each is not thread]

    def wait_for_threads(self) -> None:
        """As a script waits for its threads at its end; a pool's idle workers end with the pool, not with the run."""
        while thread := next(filter(_is_waited_for, self.threads), None):
            if thread.ident is None:
                # Another thread is about to start it.
                time.sleep(ROOM_POLL_SECONDS)
            else:
                thread.join()

    def retire(self, writer: Writer) -> None:
        """The writer's thread leaves the run: pass on what it holds."""
        with self.lock:
            writer.ready = False
            writer.text.flush()
            writer.raw.release()
            if writer in self._writers:
                self._writers.remove(writer)

    def slow_down(self) -> None:
        """Send every writer's next write through the slow path."""
        with self.lock:
            for writer in self._writers:
                writer.ready = False

    def tick(self) -> None:
        """From the flusher: pass on what is complete, and the unfinished lines once a writer is silent."""
        with self.lock:
            if self.pipe.full:
                self.slow_down()
            now = time.monotonic()
            hold = HOLD_SECONDS if len(self._writers) > len(Stream) else 0.0
            touched = False
            for writer in self._writers:
                if writer.touched:
                    touched, writer.touched, writer.seen = True, False, now
                writer.text.flush()
                if writer.raw.rest and now - writer.seen > hold:
                    writer.raw.release()
            if hold:
                self._writers = [w for w in self._writers if w is self.turn or w.raw.rest or w.thread.is_alive()]
            self._quiet = 0 if touched else self._quiet + 1
            if self.busy and self._quiet >= QUIET_TICKS:
                self.busy = False
                self.slow_down()

    def close(self) -> None:
        """The run's code has ended: pass on everything, then close the pipe."""
        FLUSHER.remove(self)
        with self.lock:
            self.slow_down()
            for writer in self._writers:
                writer.text.flush()
                writer.raw.release()
            self._writers.clear()
        self.pipe.close()


def _is_waited_for(thread: threading.Thread) -> bool:
    over = thread.ident is not None and not thread.is_alive()
    return not over and not thread.daemon and getattr(thread, "_target", None) is not _POOL_WORKER
