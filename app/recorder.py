"""The recorder: turns what a run's outputs bring into records, and sees to it that each is stored once and in order.

Any executor uses it in the hub or in its supervisor. A record ends between two characters, so a reader can decode each
one by itself; a character that has come in part waits for its rest.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from app.errors import Fenced, StoreUnavailable
from app.masking import Masker
from app.model import Record, Run, Status, Stream
from app.store.log import Append, Log, total
from app.store.runs import Forgotten, Runs

logger = logging.getLogger(__name__)

APPEND_BYTES = 524_288
# What a recorder keeps after it was stored: a store that is killed may forget what it had not written to its file yet.
KEPT_BYTES = 1_048_576
RETRY_SECONDS = (0.05, 1.0)
# A UTF-8 character has four bytes at most.
LONGEST_PREFIX = 3
UNRECORDED = "This run's output could not be recorded; the log of what ran it has more."


class Recorder:
    """The one writer of a run's log in one epoch.

    `trouble` says why it waits, or is empty. `stored` is told of each append, its end and its number of records; where
    `has_room` says no it may wait, and then the run waits.
    """

    def __init__(
        self,
        log: Log,
        run_id: str,
        epoch: int,
        *,
        masker: Masker,
        record_bytes: int,
        sleep: Callable[[float], object],
        on_fenced: Callable[[], object],
        ends: Callable[[], bool] = lambda: False,
        last_bytes: int = 0,
        stored: Callable[[int, int], object] = lambda _position, _records: None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._log, self._run_id, self._epoch = log, run_id, epoch
        self._masker, self._record_bytes = masker, record_bytes
        self._sleep, self._on_fenced = sleep, on_fenced
        self._stored, self._has_room = stored, has_room
        # A run that ends, and would wait for ever to store its last output in a full store, may store so much there.
        self._ends, self._last_bytes = ends, last_bytes
        self._rest = {Stream.OUT: b"", Stream.ERR: b""}
        self._line, self._planned, self._time = 1, 0, 0.0
        self._kept: deque[Record] = deque()
        self._kept_bytes = 0
        self._fenced = False
        self.trouble = ""
        self.position = 0

    def prepare(self, pieces: Iterable[tuple[Stream, bytes]]) -> list[Record]:
        """The records that this output makes, masked; they are to be stored in the order in which they are made."""
        records: list[Record] = []
        for stream, data in pieces:
            whole = self._rest[stream] + data if self._rest[stream] else data
            held = max(self._masker.held(whole), unfinished(whole))
            self._rest[stream] = whole[len(whole) - held :] if held else b""
            records += self._records(stream, self._masker.mask(whole[: len(whole) - held] if held else whole))
        return records

    def offer(self, records: list[Record]) -> Append | None:
        """The append that stores these records, for who appends for many; None where `store` has to do it."""
        quick = records and not self._fenced and self._has_room() and total(records) <= APPEND_BYTES
        return (self._run_id, self._epoch, self.position, records) if quick else None

    def settle(self, records: list[Record], position: int | None) -> bool:
        """The log answered `position` to what was offered, or nothing; False where `store` has to see to it."""
        if position != records[-1].position:
            return False
        self.position = position
        self._keep(records, total(records))
        self._stored(position, len(records))
        return True

    def end(self) -> None:
        """Store what was held back: nothing more will come."""
        records: list[Record] = []
        for stream, rest in self._rest.items():
            records += self._records(stream, self._masker.mask(rest))
            self._rest[stream] = b""
        self.store(records)

    @property
    def whole(self) -> int | None:
        """Where the stored output has to end; None where somebody else writes it, or nobody any more."""
        return None if self._fenced else self.position

    def check(self) -> None:
        """See to it that the store still has what came last; comes back when it has, as `store`."""
        self.store([], check=True)

    def _records(self, stream: Stream, data: bytes) -> list[Record]:
        records = []
        # A clock that is set back would have output found by its time in the wrong order.
        start, self._time = 0, max(self._time, time.time())
        while start < len(data):
            piece = data[start : start + self._record_bytes]
            if start + len(piece) < len(data):
                piece = piece[: len(piece) - unfinished(piece)]
            start += len(piece)
            self._planned += len(piece)
            records.append(Record(self._planned, data=piece, stream=stream, time=self._time, line=self._line))
            self._line += piece.count(b"\n")
        return records

    def store(self, records: list[Record], *, check: bool = False) -> None:
        """Store records that `prepare` made; comes back when they are stored, however long the store is away."""
        while (records or check) and not self._fenced:
            check = False
            size = count = 0
            while count < len(records) and size < APPEND_BYTES:
                size += len(records[count].data)
                count += 1
            try:
                self._append(records[:count])
                if count:
                    self._keep(records[:count], size)
                    self._stored(self.position, count)
            except Fenced:
                self._fenced, self.trouble = True, ""
                self._on_fenced()
            records = records[count:]

    def _append(self, records: list[Record]) -> None:
        size, last = total(records), False
        end = self.position + size
        delay, longest = RETRY_SECONDS
        done = False
        while not done:
            try:
                position = self._log.append(self._run_id, self._epoch, self.position, records, last=last)
                if position < self.position:
                    self._restore(position)
                elif position in (self.position, end):
                    self.position, done = position, position == end
                else:
                    raise Fenced("The run has another writer.")
            except StoreUnavailable as error:
                self.trouble = str(error)
                self._sleep(delay)
                delay = min(2 * delay, longest)
                last = self._ends() and size <= self._last_bytes
        self.trouble = ""
        self._last_bytes -= size if last else 0

    def _keep(self, records: list[Record], size: int) -> None:
        self._kept += records
        self._kept_bytes += size
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft().data)

    def _restore(self, position: int) -> None:
        """The store has forgotten what comes after `position`: store it again; what is not kept, as missing."""
        again = [record for record in self._kept if record.start >= position]
        start = again[0].start if again else self.position
        if start > position:
            position = self._log.omit(self._run_id, self._epoch, position, start - position)
        if again and position == start:
            self._log.append(self._run_id, self._epoch, position, again)


def finish(
    runs: Runs, run: Run, recorder: Recorder | None, sleep: Callable[[float], object], status: Status, **values: Any
) -> None:
    """Give a run its final status; comes back when it is stored, however long the store is away.

    Nobody would notice later that the store has forgotten what came last of its output: it is seen to before.
    """
    delay, longest = RETRY_SECONDS
    done = False
    while not done:
        try:
            runs.finish(run.id, run.epoch, status, whole=recorder.whole if recorder else None, **values)
            done = True
        except Forgotten:
            if not _is_restored(recorder):
                recorder, status, values = None, Status.LOST, {**values, "message": UNRECORDED}
        except StoreUnavailable:
            sleep(delay)
            delay = min(2 * delay, longest)


def _is_restored(recorder: Recorder | None) -> bool:
    try:
        if recorder is not None:
            recorder.check()
    except Exception:
        logger.exception("the end of a run's output cannot be stored again")
        return False
    return recorder is not None


class Recorded(Protocol):
    """Whoever has a recorder."""

    @property
    def recorder(self) -> Recorder:
        """The recorder."""


def store_all(log: Log, batch: Sequence[tuple[Recorded, list[Record]]]) -> list[bool | Exception]:
    """Store little output of several runs together; False for each that has to see to it by itself.

    One that fails with it has its error.
    """
    offers = [each.recorder.offer(records) for each, records in batch]
    try:
        positions = iter(log.append_all([offer for offer in offers if offer]))
    except Exception:
        logger.exception("the output of several runs could not be stored together: each of them sees to it by itself")
        return [False] * len(offers)
    done: list[bool | Exception] = []
    for offer, (each, records) in zip(offers, batch, strict=True):
        try:
            done.append(each.recorder.settle(records, next(positions)) if offer else False)
        except Exception as error:  # noqa: BLE001 - it belongs to that run alone
            done.append(error)
    return done


def unfinished(data: bytes) -> int:
    """How many bytes at the end of `data` are the beginning of a UTF-8 character whose rest has not come."""
    if data[-1:].isascii():
        return 0
    for back in range(1, min(LONGEST_PREFIX, len(data)) + 1):
        try:
            data[-back:].decode("utf-8")
        except UnicodeDecodeError as error:
            # The decoder tells the beginning of a valid character from garbage and from the middle of one.
            if error.start == 0 and error.reason == "unexpected end of data":
                return back
        else:
            return 0
    return 0
