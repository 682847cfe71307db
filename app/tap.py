"""A tap: what a viewer is sent, kept until an HTTP answer takes it; the client's own pace is what acknowledges."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from app.feed import Piece
from app.model import Run
from app.stack import Signal
from app.viewer import Viewer

Event = tuple[str, Any]


class Tap:
    """Events of one run for one answer: `output` (a Piece), `status` (a Run), `queue`, `behind`, and `beat`.

    Output waits here up to the viewer's window; of all else the newest news alone.
    """

    def __init__(self, signal: Signal, beat_seconds: float) -> None:
        self._signal, self._beat_seconds = signal, beat_seconds
        self._pieces: deque[Piece] = deque()
        self._news: dict[str, Any] = {}
        self._end: Run | None = None
        self._viewer: Viewer | None = None
        self._until: int | None = None
        # How far the output has been taken. What the viewer says of it comes a moment after what it sends.
        self._told = 0
        self.closed = False
        # All that was wanted has been taken.
        self.complete = False

    def output(self, piece: Piece) -> None:
        """A piece comes."""
        self._pieces.append(piece)
        self._signal.set()

    def status(self, run: Run) -> None:
        """The run's status comes; the final one after all output."""
        if run.status.final:
            self._end = run
        else:
            self._news["status"] = run
        self._signal.set()

    def queue(self, turn: dict[str, Any]) -> None:
        """The run's turn in its queue comes."""
        self._news["queue"] = turn
        self._signal.set()

    def behind(self, end: int) -> None:
        """The output's end is far away."""
        self._news["behind"] = end
        self._signal.set()

    def attach(self, viewer: Viewer, until: int | None) -> None:
        """The viewer whose events these are; `until`: the position behind which no more is wanted."""
        self._viewer, self._until = viewer, until
        self._told = viewer.acknowledged

    def close(self) -> None:
        """No more events: from the outside, or since nobody takes them."""
        self.closed = True
        if self._viewer is not None:
            self._viewer.close()
        self._signal.set()

    @property
    def _reached(self) -> bool:
        return self._until is not None and self._told >= self._until

    def _last(self, end: Run | None) -> Iterator[Event]:
        if end is not None:
            yield "status", end
        elif self._reached:
            # Of one of two outputs nothing else says that it was all.
            yield "beat", self._told
        self.complete = end is not None or self._reached

    def __iter__(self) -> Iterator[Event]:
        viewer = self._viewer
        if viewer is None:
            raise RuntimeError("attach a viewer first")
        while not self.closed:
            # In this order: a viewer is closed after its last event, and that is behind all output.
            closed, end = viewer.closed, self._end
            while self._news:
                yield self._news.popitem()
            if self._pieces:
                piece = self._pieces.popleft()
                yield "output", piece
                # Who asks for the next event has sent this one.
                self._told = piece.position
                viewer.acknowledge(piece.position)
            elif end is not None or closed or self._reached:
                yield from self._last(end)
                return
            elif not self._signal.wait(self._beat_seconds):
                yield "beat", self._told
