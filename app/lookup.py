"""Looking up: where a line, the last lines or a moment are in a run's output, and the lines that hold something.

Records carry the number of their first line and their time, so places are found by halving; a search goes through the
output block by block, either way, and ends with its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.errors import BadRequest
from app.found import Block, Found, Match
from app.matching import OVERLAP_BYTES, Query, nth_newline, pieces, search_piece
from app.model import Kind, Record, Run
from app.output import Output
from app.stack import Stack

BLOCK_BYTES = 262_144
READ_RECORDS = 16
MOST_RECORDS = 256
MATCHES = 100
MOST_MATCHES = 1000
# Blocks of all searches that are looked through at once.
SEARCHES = 2
Gone = Callable[[], bool]
# After every record of a position; what comes next begins there.
_LAST = (1 << 64) - 1
NEWLINE = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where to begin: at most one of a position, a line (from 1), so many last lines, a moment (seconds)."""

    after: int | None = None
    line: int | None = None
    tail: int | None = None
    time: float | None = None


class Lookup:
    """Positions and searches in stored output; a search ends after `seconds` with what it has."""

    def __init__(self, stack: Stack, output: Output, seconds: float) -> None:
        self._stack, self._output, self._seconds = stack, output, seconds
        self._permits = stack.permits(SEARCHES)

    def position(self, run: Run, place: Place) -> int:
        """Where `place` begins; a line or a moment beyond the output is its end.

        Raises: BadRequest for more than one place, or one that cannot be.
        """
        given = [each for each in (place.after, place.line, place.tail, place.time) if each is not None]
        if len(given) > 1:
            raise BadRequest("after, line, tail, time: expected one of them")
        if place.line is not None:
            return self._line(run, _from("line", place.line, 1))
        if place.tail is not None:
            return self._tail(run, _from("tail", place.tail, 0))
        if place.time is not None:
            return self._moment(run, place.time)
        if not 0 <= (place.after or 0) <= run.position:
            raise BadRequest(f"after: a position from 0 to {run.position}")
        return place.after or 0

    def line(self, run: Run, position: int) -> int:
        """The number of the line that `position` is in."""
        if not position:
            return 1
        record = self._record(run.id, position)
        if record is not None and record.kind is Kind.OUTPUT:
            return record.line + record.data.count(b"\n", 0, position - record.start)
        last = self._last_until(run, position)
        return last.line + last.data.count(b"\n") if last else 1

    def _line(self, run: Run, number: int) -> int:
        start = self._output.locate(run.id, line=number) if number > 1 else 0
        record = self._record(run.id, start)
        if record is None or record.line >= number or number == 1:
            return start
        before = nth_newline(record.data, number - record.line)
        return min(record.start + before + 1, record.position)

    def _tail(self, run: Run, count: int) -> int:
        last = self._last_until(run, run.position)
        if not count or last is None:
            return run.position
        newest = last.line + last.data.count(b"\n") - last.data.endswith(b"\n")
        return self._line(run, max(1, newest - count + 1))

    def _moment(self, run: Run, moment: float) -> int:
        position = self._output.locate(run.id, time=moment)
        before = self._record(run.id, position - 1) if position else None
        if before is None or before.data.endswith(b"\n") or before.kind is Kind.OMITTED:
            return position
        return self._line(run, before.line + before.data.count(b"\n"))

    def _last_until(self, run: Run, position: int) -> Record | None:
        """The last piece of output that begins before a position."""
        record = self._record(run.id, position - 1) if position else None
        if record is None or record.kind is Kind.OUTPUT:
            return record
        low, high, best = 0, position - 1, None
        while low < high:
            middle = (low + high) // 2
            record = self._record(run.id, middle)
            if record is not None and record.kind is Kind.OMITTED:
                record = self._record(run.id, record.position)
            if record is not None and record.start < high:
                best, low = record, record.position
            else:
                high = middle
        return best

    def _record(self, run_id: str, position: int) -> Record | None:
        """The piece of output, or the hole, that has the byte at `position`."""
        found = self._output.read(run_id, (position, _LAST), 1)
        return found[0] if found and found[0].kind in (Kind.OUTPUT, Kind.OMITTED) else None

    def search(
        self,
        run: Run,
        query: Query,
        *,
        after: int | None = None,
        backwards: bool = False,
        limit: int = MATCHES,
        gone: Gone = lambda: False,
    ) -> Found:
        """Lines that match, from byte `after` on, or before it; at most `limit`.

        `gone` tells that nobody waits for the answer any more.

        Raises: BadRequest.
        """
        if not 1 <= limit <= MOST_MATCHES:
            raise BadRequest(f"limit: a number from 1 to {MOST_MATCHES}")
        if after is None:
            after = run.position if backwards else 0
        if not 0 <= after <= run.position:
            raise BadRequest(f"after: a position from 0 to {run.position}")
        deadline = time.monotonic() + self._seconds

        def over() -> bool:
            return time.monotonic() >= deadline

        matches: list[Match] = []
        searched = after
        for block in self._blocks_before(run, after) if backwards else self._blocks_after(run, after):
            with self._permits:
                if gone():
                    break
                some, reached = self._stack.call_in_thread(
                    _search_block, query, block, limit - len(matches), backwards, lambda: gone() or over()
                )
            matches += some
            searched = reached
            if len(matches) >= limit or over():
                break
        return Found(matches, searched, done=searched == (0 if backwards else run.position))

    def _blocks_after(self, run: Run, position: int) -> Iterator[Block]:
        """The blocks from `position` to the end."""
        block = Block(position, inside=not self._begins_line(run, position))
        cursor, count = (position, _LAST), READ_RECORDS
        while cursor[0] < run.position and (records := self._output.read(run.id, cursor, count)):
            for record in records:
                if record.kind is Kind.OMITTED:
                    if block.raw:
                        yield block
                    block = Block(record.position)
                block.take(record, position, run.position)
            cursor, count = records[-1].cursor, _count(count, records)
            if len(block.raw) >= BLOCK_BYTES:
                _, rest = pieces(block.raw, open_end=True, inside=block.inside)
                block.own = rest
                yield block
                inside = block.raw[rest - 1] != NEWLINE
                block.drop(rest)
                block.inside = inside
        if block.raw:
            yield block

    def _blocks_before(self, run: Run, position: int) -> Iterator[Block]:
        """The blocks from `position` down to the beginning."""
        end = own = position
        if not self._begins_line(run, position):
            end = min(run.position, position + OVERLAP_BYTES)
        while own > 0:
            block = self._read(run, max(0, end - BLOCK_BYTES), end)
            if block.start >= own or not block.raw:
                # A hole, of any size.
                last = self._last_until(run, min(own, block.start + 1))
                end = own = last.position if last else 0
                continue
            # A block begins where a line does, unless the line is longer than the block.
            whole = self._begins_line(run, block.start)
            cut = 0 if whole else block.raw.find(b"\n", 0, own - block.start - 1) + 1
            block.drop(cut)
            block.inside = not (cut or whole)
            block.own = own - block.start
            yield block
            own = block.start
            end = min(end, own + OVERLAP_BYTES) if block.inside else own

    def _begins_line(self, run: Run, position: int) -> bool:
        """Does a line begin at this byte?"""
        before = self._record(run.id, position - 1) if position else None
        return before is None or before.kind is Kind.OMITTED or before.data[position - 1 - before.start] == NEWLINE

    def _read(self, run: Run, start: int, end: int) -> Block:
        """The last block without a hole of the bytes `start` to `end`; without bytes it begins where a hole does."""
        block = Block(start)
        cursor, count = (start, _LAST), READ_RECORDS
        while cursor[0] < end and (records := self._output.read(run.id, cursor, count)):
            for record in records:
                if record.kind is Kind.OMITTED and record.start < end:
                    block = Block(record.position if record.position < end else record.start)
                elif record.kind is Kind.OUTPUT and block.start < end:
                    block.take(record, block.start, end)
            cursor, count = records[-1].cursor, _count(count, records)
        return block


def _search_block(
    query: Query, block: Block, limit: int, backwards: bool, over: Callable[[], bool]
) -> tuple[list[Match], int]:
    """Matches in a block, and the position that was reached: not all of it where limit or end (`over`) came first."""
    raw = bytes(block.raw[: block.own + OVERLAP_BYTES])
    parts, _ = pieces(raw, open_end=False, inside=block.inside, own=block.own)
    matches: list[Match] = []
    reached = block.own if backwards else 0
    for part in reversed(parts) if backwards else parts:
        room = limit - len(matches)
        hits = search_piece(query, raw, part, room + 1, backwards)
        matches += [block.match(hit) for hit in hits[:room]]
        reached = part.start if backwards else part.own
        if len(hits) > room:
            reached = min(hits[room].end, part.own) if backwards else hits[room].start
            break
        # At least one piece is searched, so that every call gets on.
        if over():
            break
    return matches, block.start + reached


def _count(count: int, records: list[Record]) -> int:
    """How many records to read next, so that they make about a block."""
    size = max(1, sum(len(record.data) for record in records) // len(records))
    return max(1, min(MOST_RECORDS, 2 * count, BLOCK_BYTES // size))


def _from(name: str, value: int, least: int) -> int:
    if value < least:
        raise BadRequest(f"{name}: a whole number from {least} on")
    return value
