"""What a search reads and finds: blocks of output that know their lines and times, and matches in them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from app.matching import Hit
from app.model import Record


@dataclass(frozen=True, slots=True)
class Match:
    """A line that was found: bytes `position` to `end` of the output; the rest as in Hit; `time` is its record's."""

    position: int
    end: int
    line: int
    time: float
    text: str
    begins: int
    ends: int
    column: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, in its direction; `searched` is where to go on from, `done` that nothing is left."""

    matches: list[Match]
    searched: int
    done: bool


@dataclass(slots=True)
class Block:
    """Output without holes from byte `start` on; marks are (position, number of the line, time), one for each record.

    `inside` says that it begins inside a line; what is from byte `own` on is there for matches that begin before it.
    """

    start: int
    raw: bytearray = field(default_factory=bytearray)
    marks: list[tuple[int, int, float]] = field(default_factory=list)
    inside: bool = False
    own: int = 0

    def take(self, record: Record, first: int, last: int) -> None:
        """Append what the record has of the bytes `first` to `last`."""
        skipped = max(0, first - record.start)
        data = record.data[skipped : max(0, last - record.start)]
        if data:
            self.marks.append((record.start + skipped, record.line + record.data.count(b"\n", 0, skipped), record.time))
            self.raw += data
            self.own = len(self.raw)

    def drop(self, count: int) -> None:
        """Take `count` bytes off its beginning."""
        if count:
            _, line, moment = self._mark(count)
            self.marks = [(self.start + count, line, moment), *self.marks[self._index(count) + 1 :]]
            del self.raw[:count]
            self.start += count
            self.own = len(self.raw)

    def match(self, hit: Hit) -> Match:
        """The match for a hit in this block."""
        _, line, moment = self._mark(hit.start)
        start, end = self.start + hit.start, self.start + hit.end
        return Match(start, end, line, moment, hit.text, hit.begins, hit.ends, hit.column)

    def _index(self, offset: int) -> int:
        return bisect_right(self.marks, self.start + offset, key=lambda mark: mark[0]) - 1

    def _mark(self, offset: int) -> tuple[int, int, float]:
        position, line, moment = self.marks[self._index(offset)]
        return position, line + self.raw.count(b"\n", position - self.start, offset), moment
