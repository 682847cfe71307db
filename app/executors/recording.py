"""Recordings: thread runs' outputs, as the pipe processor sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.capture import Pieces, Pipe
from app.model import Record
from app.recorder import Recorder


@dataclass(frozen=True)
class Recording:
    """The output of one run; `ended` is called by other hub code when all is stored, or with what went wrong."""

    pipe: Pipe
    recorder: Recorder
    spawn: Callable[..., object]
    ended: Callable[[Exception | None], object]

    def prepare(self, pieces: Pieces) -> list[Record]:
        """As Source.prepare."""
        return self.recorder.prepare(pieces)

    def store(self, prepared: list[Record]) -> None:
        """As Source.store."""
        self.recorder.store(prepared)

    def end(self, error: Exception | None) -> None:
        """As Source.end."""
        self.spawn(self._end, error)

    def _end(self, error: Exception | None) -> None:
        if error is None:
            try:
                self.recorder.end()
            except Exception as raised:  # noqa: BLE001 - told to whoever waits for the end
                error = raised
        self.ended(error)
