"""Extracts: a part of a run's output as bytes or as plain text, piece by piece, for whoever wants to keep it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from app.errors import StoreUnavailable
from app.feed import Piece, items_of
from app.model import Kind, Record, Run, Stream
from app.output import LAST, Output
from app.plain import PlainText
from app.stack import Stack

READ_RECORDS = 16
MOST_RECORDS = 256
MOST_READ = 2048
PAGE_BYTES = 262_144
# Fast enough for a download that is made as it goes, and most of what more effort would bring.
GZIP_LEVEL = 4
GONE = "The output has been deleted, or lost its end."
_GZIP = 31


class Extract:
    """The bytes `start` to `end` of a run's output as they are now; `holes` are those that are not kept.

    Its bytes may raise StoreUnavailable in the midst, where something that was there has gone.
    """

    def __init__(self, stack: Stack, output: Output, run: Run, start: int) -> None:
        self._stack, self._output = stack, output
        self.run, self.start, self.end = run, start, run.position
        holes = self._read_holes() if run.omitted else output.holes(run.id)
        self.holes = [
            (max(first, start), min(last, self.end)) for first, last in holes if start < last and first < self.end
        ]

    def _read_holes(self) -> list[tuple[int, int]]:
        pages = self._pages(self.start, self.end)
        return [(each.start, each.position) for page in pages for each in page if each.kind is Kind.OMITTED]

    @property
    def size(self) -> int:
        """Its length in bytes, what is missing included."""
        return self.end - self.start

    @property
    def omitted(self) -> int:
        """How many bytes are missing in it."""
        return sum(end - start for start, end in self.holes)

    @property
    def fixed(self) -> bool:
        """True where it will be the same tomorrow, byte for byte."""
        return self.run.status.final and not self.holes

    def has_hole(self, first: int, last: int) -> bool:
        """Is something missing of its bytes `first` to `last`?"""
        return any(start < self.start + last and self.start + first < end for start, end in self.holes)

    def raw(self, first: int, last: int, stream: Stream | None) -> Iterator[bytes]:
        """Its bytes `first` to `last`, of one stream or of both; a hole is told in words."""
        for parts in self._parts(self.start + first, self.start + last, stream):
            yield b"".join(parts)

    def text(self, stream: Stream | None) -> Iterator[bytes]:
        """All of it as plain text in UTF-8."""
        plain = PlainText()
        for parts in self._parts(self.start, self.end, stream):
            yield self._stack.call_in_thread(_take, plain, parts)
        yield plain.end().encode()

    def gzip(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces as a gzip file."""
        packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP)
        for piece in pieces:
            yield self._stack.call_in_thread(packer.compress, piece)
        yield packer.flush()

    def _parts(self, start: int, end: int, stream: Stream | None) -> Iterator[list[bytes]]:
        for records in self._pages(start, end):
            wanted = (record for record in records if record.omitted or stream in (None, record.stream))
            yield [_part(record, start, end) for record in wanted]

    def _pages(self, start: int, end: int) -> Iterator[list[Record]]:
        cursor, count = (start, 0), READ_RECORDS
        while cursor[0] < end:
            records = self._output.read(self.run.id, cursor, count)
            if not records:
                raise StoreUnavailable(GONE)
            yield [record for record in records if record.start < end]
            cursor, count = records[-1].cursor, _next_count(records, count)


def read_pieces(output: Output, run: Run, start: int, most: int) -> list[Piece]:
    """Up to `most` bytes of a run's output from `start` on, as far as it is stored now; at least a record, if any is.

    Fewer, where it has very many small records.

    Raises: StoreUnavailable where the run has ended and something that was there has gone.
    """
    found: list[Piece] = []
    position, end, seen, count = start, start + most, 0, READ_RECORDS
    while position < end and seen < MOST_READ:
        records = output.read(run.id, (position, LAST), count)
        pieces = [item.piece for item in items_of(records, position, most) if item.piece is not None]
        room = [piece for piece in pieces if piece.position <= end or (not found and piece is pieces[0])]
        found += room
        if not room:
            break
        position, seen, count = room[-1].position, seen + len(records), _next_count(records, count)
    if run.status.final and not found and position < run.position:
        raise StoreUnavailable(GONE)
    return found


def _next_count(records: list[Record], count: int) -> int:
    """How many records to read next, so that they make about a page."""
    size = max(1, sum(len(record.data) for record in records) // len(records))
    return max(1, min(MOST_RECORDS, 2 * count, PAGE_BYTES // size))


def _part(record: Record, start: int, end: int) -> bytes:
    if record.kind is Kind.OMITTED:
        reason = f": {record.reason}" if record.reason else ""
        return f"\n[{record.omitted} bytes are missing here{reason}]\n".encode()
    return record.data[max(0, start - record.start) : max(0, end - record.start)]


def _take(plain: PlainText, parts: list[bytes]) -> bytes:
    return "".join(map(plain.take, parts)).encode()
