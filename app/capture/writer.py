"""A run's writers: one for each thread and stream, fast in a flood and immediate after silence.

In a flood `print` writes into a bounded text stream directly, which is one C call (router.py, bounded.py); once the
flusher has come in time again and again it appends to its thread's list instead, which is faster. The flusher passes on
what is there every millisecond. What is not the plain case (first line after silence, another thread's turn, a full
pipe, a closed or replaced stdout) takes `slow_write`. Lines of two threads never mix: a writer passes on whole lines,
and its rest when it falls silent.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.capture.bounded import Bounded
from app.model import Stream

if TYPE_CHECKING:
    from app.capture.capture import Capture

# An unfinished line longer than this is passed on unfinished.
LINE_BYTES = 1 << 16
# More texts than are printed between two visits of the flusher that come in time.
MOST_PIECES = 131_072
# After so many visits in time it is relied on, and after a late one never again.
TIMELY_VISITS = 3
LATE = -1


class PipeIO(io.BufferedIOBase):
    """The bytes' side of a writer: cuts at line ends and puts into the run's pipe."""

    def __init__(self, capture: Capture, stream: Stream) -> None:
        self._capture = capture
        self._stream = stream
        self.rest = b""

    def writable(self) -> bool:
        """True: it is for writing."""
        return True

    def write(self, data: Any) -> int:
        """Pass whole lines on, keep the rest; returns the number of bytes given."""
        with self._capture.lock:
            piece = bytes(data)
            self.pass_on(piece)
            return len(piece)

    def pass_on(self, piece: bytes) -> None:
        """Under the capture's lock: as write."""
        if self.rest:
            piece = self.rest + piece
        end = len(piece) if piece[-1:] == b"\n" else piece.rfind(b"\n") + 1
        if not end and len(piece) > LINE_BYTES:
            end = len(piece)
        self.rest = piece[end:]
        if end:
            self._capture.pipe.put(self._stream, piece[:end] if self.rest else piece)

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
            writer.drain()
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

    `door` is what `print` looks its `write` up in: the thread's own dictionary of the router. Any thread may put the
    slow way there, and the owner alone puts the fast one.
    """

    def __init__(self, capture: Capture, stream: Stream, door: dict[str, Any]) -> None:
        self.capture = capture
        self.stream = stream
        self.thread = threading.current_thread()
        self.raw = PipeIO(capture, stream)
        self.buffer = Bytes(self)
        # Only ever appended to and cut at its front, so that nothing is lost whoever still holds its `append`.
        self.pieces: list[str] = []
        self.ready = False
        # When something last came from it; whether its thread is held up, maybe in the midst of a line.
        self.seen = 0.0
        self.waits = False
        self._door = door
        self._bounded = Bounded(self._take)
        self._visits = 0
        self._took = self._handing = False
        # What a flood of the thread's goes into: the one or the other.
        self._fast: Callable[[str], object] = self.pieces.append
        door["write"] = self.slow_write

    def slow_down(self) -> None:
        """Send the thread's next print through `slow_write`."""
        self.ready = False
        self._door["write"] = self.slow_write

    def drain(self) -> bool:
        """Under the capture's lock: pass on the whole lines of what was printed; False where nothing was."""
        self._took = False
        self._drain_pieces()
        self._handing = True
        self._bounded.hand_over()
        self._handing = False
        return self._took

    def visit(self) -> bool:
        """From the flusher, under the capture's lock: as drain; the thread waits meanwhile where that is needed."""
        if len(self.pieces) > MOST_PIECES:
            self._visits = LATE
            self.slow_down()
        elif self.ready and 0 <= self._visits < TIMELY_VISITS:
            self._visits += 1
            if self._visits == TIMELY_VISITS:
                # Its next print chooses again.
                self.slow_down()
        return self.drain()

    def calm_down(self) -> None:
        """A flood is over."""
        self._visits = min(self._visits, 0)
        self.slow_down()

    def _take(self, data: bytes) -> None:
        """A chunk of the bounded stream: from `drain`, or from its own thread, which waits where the pipe is full."""
        capture = self.capture
        if capture.within:
            if self._handing:
                self._handing, self._took = False, True
                self.raw.pass_on(data)
            else:
                # From a signal's handler in the midst of passing on.
                self.pieces.append(data.decode())
            return
        self.waits = True
        with capture.lock:
            self.take_turn()
            # What was on its way into the list as the thread changed over.
            self._drain_pieces()
            self._took = True
            self.raw.pass_on(data)
        self._wait_for_room()

    def _wait_for_room(self) -> None:
        self.waits = True
        try:
            self.capture.pipe.wait_for_room()
        finally:
            # Also where a Stop interrupts it: an unfinished line is passed on in time again.
            self.seen = time.monotonic()
            self.waits = False

    def _drain_pieces(self) -> None:
        count = len(self.pieces)
        if not count:
            return
        self._took = True
        taken = self.pieces[:count]
        del self.pieces[:count]
        try:
            text = "".join(taken)
        except TypeError:
            # Somebody found the router itself and gave it something else.
            text = "".join(map(str, taken))
        self.raw.pass_on(text.encode("utf-8", "backslashreplace"))

    def take_turn(self) -> None:
        """Under the capture's lock: what others printed before goes first."""
        before = self.capture.turn
        if before is not self:
            if before is not None:
                before.slow_down()
                before.drain()
            self.capture.turn = self

    def slow_write(self, text: str) -> int:
        """Write outside the fast path: into what the run put in the stream's place, or into its own output."""
        replaced = self.capture.replaced.get(self.stream)
        return self.own_write(text) if replaced is None else replaced.write(text)

    def own_write(self, text: str) -> int:
        """Write into the run's own output; decides whether the next prints may take the fast path.

        Raises: ValueError for a closed stream; TypeError for something else than a text.
        """
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self.ready:
            self._fast(text)
            return len(text)
        capture = self.capture
        if capture.within:
            # Called by a signal's handler, or a finalizer, in the midst of what comes below.
            self.pieces.append(text)
            return len(text)
        if self.stream in capture.closed:
            raise ValueError("I/O operation on closed file.")
        self._wait_for_room()
        with capture.lock:
            self.take_turn()
            self._append(text)
            if text[-1:] == "\n" and not capture.busy and not capture.note_line():
                self.drain()
            if capture.busy and not capture.pipe.full and not capture.replaced and not capture.closed:
                if self._visits != TIMELY_VISITS:
                    self._fast = self._bounded.write
                self.ready = True
                self._door["write"] = self._fast
        return len(text)

    def _append(self, text: str) -> None:
        if self._fast == self._bounded.write:
            # What is in the list goes before what is in there.
            self.drain()
            self._fast = self.pieces.append
        self.pieces.append(text)

    def flush(self) -> None:
        """Pass everything on, the unfinished line too."""
        if self.capture.within:
            return
        with self.capture.lock:
            self.take_turn()
            self.drain()
            self.raw.release()

    def leave(self) -> None:
        """Under the capture's lock: the thread belongs to the run no more."""
        self.ready = False
        # The thread may have another writer by the time somebody slows this one down.
        del self._door["write"]
        self._door = {}
        self.drain()
        self.raw.release()
