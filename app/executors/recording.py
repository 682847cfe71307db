"""Recordings: thread runs' outputs, as the pipe processor sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.capture import Pieces, Pipe
from app.model import Record
from app.recorder import Recorder
from app.store.log import Log


@dataclass(frozen=True)
class Recording:
    """The output of one run; `ended` is called when all of it is stored, or with what went wrong."""

    pipe: Pipe
    recorder: Recorder
    ended: Callable[[Exception | None], object]

    def prepare(self, pieces: Pieces) -> list[Record]:
        """As Source.prepare."""
        return self.recorder.prepare(pieces)

    def store(self, prepared: list[Record]) -> None:
        """As Source.store."""
        self.recorder.store(prepared)

    def end(self, error: Exception | None) -> None:
        """As Source.end."""
        if error is None:
            try:
                self.recorder.end()
            except Exception as raised:  # noqa: BLE001 - told to whoever waits for the end
                error = raised
        self.ended(error)


def store_all(log: Log, batch: Sequence[tuple[Recording, list[Record]]]) -> list[bool]:
    """Store little output of several runs together; False for each that has to see to it by itself."""
    offers = [recording.recorder.offer(records) for recording, records in batch]
    positions = iter(log.append_all([offer for offer in offers if offer]))
    return [
        recording.recorder.settle(records, next(positions)) if offer else False
        for offer, (recording, records) in zip(offers, batch, strict=True)
    ]
