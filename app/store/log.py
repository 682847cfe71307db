"""The log: a run's output as a Redis Stream whose ids are byte offsets; the record, and the bus that followers read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from app.config import Settings
from app.errors import Fenced, StoreUnavailable
from app.model import Kind, Record, Stream
from app.stack import Stack
from app.store.connection import connect, store_errors
from app.store.fields import changes_of
from app.store.lane import Lane, LaneScript, SharedLane
from app.store.scripts import ALWAYS, APPEND, OMIT

Cursor = tuple[int, int]
# A run's id and epoch, the position expected, and the records: as for `Log.append`.
Append = tuple[str, int, int, list[Record]]
LONGEST_WAIT = 1.0
# What is smaller is sent together with what other runs print at the same time.
LITTLE_BYTES = 16_384


def log_key(run_id: str) -> str:
    """The stream's key."""
    return f"run:{run_id}:log"


class Log:
    """Append, read and wait, on connections of its own.

    Raises: ConfigError naming REDIS_URL.
    """

    def __init__(self, settings: Settings, stack: Stack, node: str) -> None:
        most = settings.redis_connections
        self._lane = Lane(connect(settings, stack, connections=most), stack.permits(most))
        # A reply may take as long as the wait that was asked for.
        waiter = connect(settings, stack, timeout=settings.redis_timeout + LONGEST_WAIT, connections=1)
        self._waiting_lane = Lane(waiter, stack.permits(1))
        self._append_last = LaneScript(self._lane, ALWAYS + APPEND)
        self._append, self._omit = LaneScript(self._lane, APPEND), LaneScript(self._lane, OMIT)
        self._append_little = LaneScript(SharedLane(self._lane, stack), APPEND)
        self._wake_key = f"wake:{node}"
        # Whatever this node, whose own key it is, was woken by last; at first the beginning: none may be missed.
        self._woken: bytes | str = "0-0"
        self._appended: Callable[[str, Sequence[Record]], object] = lambda _run_id, _records: None

    def on_append(self, function: Callable[[str, Sequence[Record]], object]) -> None:
        """Have `function` called with what this process stores, as soon as it is stored."""
        self._appended = function

    def append(self, run_id: str, epoch: int, expected: int, records: Sequence[Record], *, last: bool = False) -> int:
        """Write output records that follow each other from byte `expected` on; answers the position now.

        Another answer than the end of the last record means that nothing was written. `last` output of a run that ends
        is stored in a full store too.

        Raises: Fenced after the run's end or in another epoch; StoreUnavailable, and then the call may be repeated.
        """
        script = self._append_last if last else self._append_little if total(records) < LITTLE_BYTES else self._append
        with store_errors():
            position = self._answer(script(*_append_args(run_id, epoch, expected, records)))
        if records and position == records[-1].position:
            self._appended(run_id, records)
        return position

    def append_all(self, appends: Sequence[Append]) -> list[int | None]:
        """Write records of several runs together; each one's position now, None where `append` has to find out."""
        try:
            with store_errors():
                answers = self._lane.batch([self._append.command(*_append_args(*append)) for append in appends])
        except StoreUnavailable:
            return [None] * len(appends)
        for (run_id, _, _, records), position in zip(appends, answers, strict=True):
            if position == records[-1].position:
                self._appended(run_id, records)
        return [position if isinstance(position, int) else None for position in answers]

    def omit(self, run_id: str, epoch: int, expected: int, length: int) -> int:
        """Write that `length` bytes are missing from `expected` on; answers and raises as append."""
        with store_errors():
            return self._answer(self._omit([f"run:{run_id}", log_key(run_id)], [epoch, expected, length]))

    @staticmethod
    def _answer(position: int) -> int:
        if position < 0:
            raise Fenced("The run has ended, or has another writer.")
        return position

    def read(self, run_id: str, after: Cursor, count: int) -> list[Record]:
        """Up to `count` records after a cursor, in order."""
        with store_errors():
            start = f"({after[0]}-{after[1]}"
            found = self._lane.call("XRANGE", log_key(run_id), start, "+", "COUNT", count)
        return [_record(*each) for each in found]

    def end(self, run_id: str) -> Cursor:
        """Where the log ends now."""
        with store_errors():
            found = self._lane.call("XREVRANGE", log_key(run_id), "+", "-", "COUNT", 1)
        return _record(*found[0]).cursor if found else (0, 0)

    def trim(self, run_id: str, cursor: Cursor) -> None:
        """Delete the records before a cursor; those there and after it stay. A full store does it, too."""
        with store_errors():
            self._lane.call("XTRIM", log_key(run_id), "MINID", f"{cursor[0]}-{cursor[1]}")

    def wait(self, after: Mapping[str, Cursor], seconds: float, count: int) -> dict[str, list[Record]]:
        """New records of several runs, up to `count` for each; empty after `seconds` (1 at most) or a `wake`."""
        keys = [*map(log_key, after), self._wake_key]
        cursors = [*(f"{cursor[0]}-{cursor[1]}" for cursor in after.values()), self._woken]
        options = ("COUNT", count, "BLOCK", int(seconds * 1000), "STREAMS")
        with store_errors():
            answer = self._waiting_lane.call("XREAD", *options, *keys, *cursors) or []
        found: dict[str, list[Record]] = {}
        for key, entries in answer:
            name = key.decode()
            if name == self._wake_key:
                self._woken = entries[-1][0]
            else:
                found[name[4:-4]] = [_record(*each) for each in entries]
        return found

    def wake(self) -> None:
        """Have `wait` of this node return, so that it asks for other runs too.

        It is a write, which a full store refuses; then `wait` returns when its seconds are over.
        """
        with contextlib.suppress(Exception), store_errors():
            self._lane.call("XADD", self._wake_key, "MAXLEN", 1, "*", "w", "1")
            self._lane.call("EXPIRE", self._wake_key, 3600)


def _append_args(run_id: str, epoch: int, expected: int, records: Sequence[Record]) -> tuple[list[str], list[Any]]:
    args: list[Any] = [epoch, expected]
    for record in records:
        args += (str(record.stream), f"{record.time:.3f}", record.line, record.data)
    return [f"run:{run_id}", log_key(run_id)], args


def _record(entry_id: bytes, pairs: list[bytes]) -> Record:
    position, sequence = (int(part) for part in entry_id.split(b"-"))
    fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
    kind = fields.get(b"k")
    if kind is not None:
        omitted = int(fields.get(b"o", 0))
        return Record(position, sequence, Kind(kind.decode()), omitted=omitted, changes=changes_of(fields))
    return Record(
        position,
        data=fields[b"d"],
        stream=Stream(fields[b"s"].decode()),
        time=float(fields[b"t"]),
        line=int(fields[b"n"]),
    )


def total(records: Iterable[Record]) -> int:
    """The number of bytes in `records`."""
    return sum(len(record.data) for record in records)
