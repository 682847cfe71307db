"""A run's output as it is stored, wherever it is: the log for what is new, the archive for what is old."""

from __future__ import annotations

import errno
import logging
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from app.config import Settings
from app.errors import StoreUnavailable
from app.model import Kind, Record
from app.stack import Stack
from app.store.archive import Archive
from app.store.blocks import Block, unpack
from app.store.log import Cursor, Log, total

logger = logging.getLogger(__name__)

T = TypeVar("T")
MEGABYTE = 1_048_576
SHELF_BYTES = 33_554_432
RECORD_COST = 256
ATTEMPTS = 5
# Behind every note at a position.
LAST = 2**63
NOTES = 16
# The head's last block ends at most this far behind its half.
SLACK = 4_194_304


class Output:
    """Reading back, by position, line or time; whoever shows output asks here. Raises StoreUnavailable."""

    def __init__(self, settings: Settings, stack: Stack, log: Log, archive: Archive) -> None:
        self._stack, self._log, self._archive = stack, log, archive
        self._shelf = Shelf(archive)
        self._half = int(settings.run_megabytes * MEGABYTE / 2)
        self._capped = (
            f"RUN_MEGABYTES={settings.run_megabytes:g} keeps the first and the last {settings.run_megabytes / 2:g} MB"
        )

    def read(self, run_id: str, after: Cursor, count: int) -> list[Record]:
        """Up to `count` records after a cursor, each beginning where the one before ends; none at the log's end.

        The first may begin before the cursor, which then is inside it. What is kept nowhere is a record of
        Kind.OMITTED.
        """
        records = self._log.read(run_id, after, count)
        if not records or records[0].start <= after[0]:
            return _gapless(after, records)
        found = self._in_thread(self._archived, run_id, after, records[0].start, count)
        if found[0].kind is Kind.OMITTED and not self._log.read(run_id, after, 1):
            # The run was deleted at this moment: that is the end, and no gap.
            return []
        return found

    def bounds(self, run_id: str) -> tuple[int, int]:
        """The positions of the first byte that is kept, and behind the last one."""
        first, end = self._log.read(run_id, (0, 0), 1), self._log.end(run_id)
        if not first or not first[0].start:
            return 0, end[0]
        blocks = self._in_thread(self._archive.blocks, run_id)
        return min(first[0].start, blocks[0].start) if blocks else first[0].start, end[0]

    def holes(self, run_id: str) -> list[tuple[int, int]]:
        """From where to where nothing is kept, by the names of what is: damaged blocks are found by reading alone."""
        first = self._log.read(run_id, (0, 0), 1)
        limit = first[0].start if first else 0
        found, end = [], 0
        for block in self._in_thread(self._archive.blocks, run_id) if limit else ():
            if block.start > end:
                found.append((end, min(block.start, limit)))
            end = max(end, block.end)
            if end >= limit:
                return found
        return [*found, (end, limit)] if end < limit else found

    def locate(self, run_id: str, *, line: int | None = None, time: float | None = None) -> int:
        """A position from which to read on to get to a line (numbered from 1), or to a time (seconds since the epoch).

        The line begins in the record there, or later. The record there is the first one of that time or a later one.
        """

        def early(first_line: int, began: float) -> bool:
            return first_line < line if line is not None else began < (time or 0)

        found = self._last_in_log(run_id, early)
        if found is None:
            found = self._in_thread(self._last_archived, run_id, early)
        if found is None:
            return self.bounds(run_id)[0]
        return found.start if line is not None else found.position

    def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        try:
            return self._stack.call_in_thread(function, *args)
        except OSError as error:
            raise StoreUnavailable(f"The archive cannot be read: {error.strerror}.") from error

    def _last_in_log(self, run_id: str, early: Callable[[int, float], bool]) -> Record | None:
        """The last record of the log for which `early` says so; it does for a first part of all records."""
        low, high = -1, self._log.end(run_id)[0]
        best = None
        while low < high:
            # At first the oldest record: most often all or none of the log is meant.
            middle = (low + high + 1) // 2 if best else 0
            record = self._first_output(run_id, middle)
            if record is not None and early(record.line, record.time):
                best, low = record, record.position
            elif best is None:
                return None
            else:
                high = middle - 1
        return best

    def _first_output(self, run_id: str, position: int) -> Record | None:
        """The first record of the log with output that ends at `position` or behind it."""
        cursor = (position - 1, LAST) if position else (0, 0)
        while records := self._log.read(run_id, cursor, NOTES):
            for record in records:
                if record.data:
                    return record
            cursor = records[-1].cursor
        return None

    def _last_archived(self, run_id: str, early: Callable[[int, float], bool]) -> Record | None:
        """In a thread: as _last_in_log, in the archive."""
        blocks = [block for block in self._archive.blocks(run_id) if block.line]
        index = bisect_left(blocks, True, key=lambda block: not early(block.line, block.time / 1000))
        while index:
            index -= 1
            records = [record for record in self._load(run_id, blocks[index]) or () if record.data]
            last = bisect_left(records, True, key=lambda record: not early(record.line, record.time))
            if last:
                return records[last - 1]
        return None

    def _archived(self, run_id: str, after: Cursor, limit: int, count: int) -> list[Record]:
        """In a thread: records after a cursor, up to position `limit`, where the log begins; at least one."""
        bad: set[Block] = set()
        for _ in range(ATTEMPTS):
            blocks = [block for block in self._archive.blocks(run_id) if block not in bad]
            block = next((each for each in blocks if each.end > after[0]), None)
            if block is None or block.start >= limit:
                return [self._gap(blocks, after[0], limit)]
            if block.start > after[0]:
                return [self._gap(blocks, after[0], block.start)]
            records = self._load(run_id, block)
            if records is None:
                # Damaged; or deleted just now, and then the list has changed.
                bad.add(block)
                continue
            found = [record for record in records if after < record.cursor and record.position <= limit][:count]
            if found:
                return _gapless(after, found)
            # The log lost its end in a power cut and what is here went farther.
            bad.add(block)
        return [self._gap(blocks, after[0], limit)]

    def _load(self, run_id: str, block: Block) -> list[Record] | None:
        try:
            return self._shelf.get(run_id, block)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            # Other errors of the system pass: a reader tries again, and is not told that something is missing.
            if isinstance(error, OSError) and error.errno != errno.EIO:
                raise
            logger.error("block %s of run %s cannot be read: %s", block.name, run_id, error)  # noqa: TRY400 - no frames
            return None

    def _gap(self, blocks: list[Block], start: int, end: int) -> Record:
        before = max((block.end for block in blocks if block.end <= start), default=0)
        capped = self._half <= before <= self._half + SLACK
        return Record(end, kind=Kind.OMITTED, omitted=end - start, reason=self._capped if capped else "")


class Shelf:
    """The blocks that were read last, unpacked; 32 MiB at most, and always the last one. For OS threads."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[str, Block], tuple[list[Record], int]] = OrderedDict()
        self._size = 0

    def get(self, run_id: str, block: Block) -> list[Record]:
        """A block's records.

        Raises: FileNotFoundError; OSError; ValueError where the block is damaged.
        """
        key = (run_id, block)
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key][0]
        records = unpack(block, self._archive.get(run_id, block))
        size = total(records) + RECORD_COST * len(records)
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = (records, size)
                self._size += size
            while self._size > SHELF_BYTES and len(self._blocks) > 1:
                self._size -= self._blocks.popitem(last=False)[1][1]
        return records


def _gapless(after: Cursor, records: list[Record]) -> list[Record]:
    """The same, with a record for each gap among them; a hole that begins before the cursor is cut there."""
    position = after[0]
    found: list[Record] = []
    for record in records:
        if record.start > position:
            found.append(Record(record.start, kind=Kind.OMITTED, omitted=record.start - position))
        if record.kind is Kind.OMITTED and record.start < position:
            found.append(replace(record, omitted=record.position - position))
        else:
            found.append(record)
        position = record.position
    return found
