"""The archiver: moves a run's oldest records from Redis to the archive, so that Redis holds a bounded part of each run.

A block is put first and trimmed from the log then; whoever dies between the two leaves a block that is put once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from app.config import Settings
from app.errors import StoreUnavailable
from app.model import Record
from app.stack import Stack
from app.store.archive import Archive
from app.store.blocks import Block, pack
from app.store.log import Log

logger = logging.getLogger(__name__)

BLOCK_BYTES = 2_097_152
MEGABYTE = 1_048_576
# What a stream takes for a record beside its bytes: 37 for short lines, 130 for full records (Valkey 9).
RECORD_COST = 64
READ_RECORDS = 512
ROOM_POLL_SECONDS = 0.01
RETRY_SECONDS = (0.1, 2.0)
FORGET_SECONDS = 90.0


class Hot:
    """The part of a live run that Redis holds; `appended` is the recorder's, the rest the archiver's.

    Each number has one writer, so that nothing has to be locked.
    """

    def __init__(self, archiver: Archiver, run_id: str, ends: Callable[[], bool]) -> None:
        self.run_id, self.ends = run_id, ends
        self._archiver = archiver
        self.position = self.moved = 0
        self.records = self.moved_records = 0
        self.moving = False

    @property
    def cost(self) -> int:
        """About the bytes that the log takes."""
        return self.position - self.moved + RECORD_COST * (self.records - self.moved_records)

    def has_room(self) -> bool:
        """Would `appended` come back at once, after little more?"""
        return self.cost <= self._archiver.limit

    def appended(self, position: int, records: int) -> None:
        """So many records were appended, up to `position`; waits where the archive cannot keep up."""
        self.position = position
        self.records += records
        if self.cost > self._archiver.limit:
            self._archiver.relieve(self)


class Archiver:
    """Moves output of live runs while they print, and all output of ended ones."""

    def __init__(self, settings: Settings, stack: Stack, log: Log, archive: Archive) -> None:
        self._stack, self._log, self._archive = stack, log, archive
        self.limit = int(settings.hot_megabytes * MEGABYTE)
        self._half = int(settings.run_megabytes * MEGABYTE / 2)
        self._last_bytes = 2 * settings.pipe_bytes
        self._block = min(BLOCK_BYTES, self.limit // 4)
        self._failed: dict[str, tuple[float, str]] = {}

    @property
    def trouble(self) -> str | None:
        """A sentence for people while the archive cannot be written, else None."""
        # Whoever fails tries again sooner than this, unless another server has done it or the run is gone.
        recent = time.monotonic() - FORGET_SECONDS
        return next((text for when, text in list(self._failed.values()) if when > recent), None)

    def open(self, run_id: str, ends: Callable[[], bool] = lambda: False) -> Hot:
        """For the recorder of a new run: what it tells of each append; `ends` tells whether the run should end now."""
        return Hot(self, run_id, ends)

    def relieve(self, hot: Hot) -> None:
        """See to it that a run's log gets shorter; comes back when it has less than twice what it may.

        Where the archive cannot be written, the last output of a run that ends goes beyond that: Stop waits for none.
        """
        while True:
            if not hot.moving:
                hot.moving = True
                self._stack.spawn(self._shorten, hot)
            if hot.cost <= 2 * self.limit + (self._last_bytes if self.trouble and hot.ends() else 0):
                return
            self._stack.sleep(ROOM_POLL_SECONDS)

    def _shorten(self, hot: Hot) -> None:
        delay, longest = RETRY_SECONDS
        try:
            while hot.cost > self.limit:
                if self._succeeds(hot.run_id, lambda: self._move_live(hot)):
                    delay = RETRY_SECONDS[0]
                else:
                    self._stack.sleep(delay)
                    delay = min(2 * delay, longest)
        finally:
            hot.moving = False

    def _move_live(self, hot: Hot) -> None:
        records = self._oldest(hot.run_id)
        if records:
            self._move(hot.run_id, records, hot.position)
            hot.moved_records += sum(1 for record in records if not record.sequence)
            hot.moved = records[-1].position
        else:
            # The run was deleted, or the store has forgotten it.
            hot.moved, hot.moved_records = hot.position, hot.records

    def archive(self, run_id: str, position: int) -> bool:
        """Move all output of an ended run, so that its log is its end note; False where that failed, for now."""
        return self._succeeds(run_id, lambda: self._move_all(run_id, position))

    def _move_all(self, run_id: str, position: int) -> None:
        while records := self._oldest(run_id):
            self._move(run_id, records, position)
        self._log.trim(run_id, self._log.end(run_id))

    def _oldest(self, run_id: str) -> list[Record]:
        """The oldest records of the log, a block of them; empty where there is nothing but notes."""
        records: list[Record] = []
        cost, count = 0, 1
        while cost < self._block:
            found = self._log.read(run_id, records[-1].cursor if records else (0, 0), count)
            if not found or (records and found[0].start != records[-1].position):
                # The end; or another server moves the same run, and has just trimmed what comes next.
                break
            for record in found:
                records.append(record)
                cost += len(record.data) + RECORD_COST
                if cost >= self._block:
                    break
            # Short ones may be followed by long ones: never many more at once than were seen.
            count = max(1, min(READ_RECORDS, len(records), (self._block - cost) * len(records) // cost))
            self._stack.sleep(0)
        # A block ends with bytes, so that its last position says which notes are in it.
        while records and records[-1].sequence:
            records.pop()
        return records

    def _move(self, run_id: str, records: list[Record], position: int) -> None:
        block = Block.of(records)
        self._stack.call_in_thread(self._put, run_id, block, records, position)
        self._log.trim(run_id, (block.end, 1))

    def _put(self, run_id: str, block: Block, records: list[Record], position: int) -> None:
        """In a thread: put a block, and delete those between head and tail that are too many."""
        self._archive.put(run_id, block, pack(records))
        if position > 2 * self._half:
            for each in self._archive.blocks(run_id):
                if each.start >= self._half and each.end <= position - self._half:
                    self._archive.delete(run_id, each)

    def _succeeds(self, run_id: str, move: Callable[[], None]) -> bool:
        try:
            move()
        except StoreUnavailable:
            return False
        except OSError as error:
            self._fail(run_id, error.strerror or str(error))
            return False
        except Exception:
            # Whatever it is: a recorder may be waiting for room.
            logger.exception("the output of run %s cannot be moved to the archive", run_id)
            self._fail(run_id, "the server's log says why")
            return False
        if self._failed.pop(run_id, None) and not self.trouble:
            logger.warning("the archive can be written again")
        return True

    def _fail(self, run_id: str, reason: str) -> None:
        trouble = f"The archive cannot be written: {reason}."
        if trouble != self.trouble:
            logger.error("%s First seen at run %s.", trouble, run_id)
        self._failed[run_id] = (time.monotonic(), trouble)
