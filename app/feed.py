"""A feed: a watched run's newest output on this node, in pieces that are made and encoded once for all viewers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from app.model import Kind, Record, Run
from app.store.log import Cursor

FEED_BYTES = 2_097_152
FEED_ITEMS = 4096
V = TypeVar("V")


@dataclass(eq=False, slots=True)
class Piece:
    """Output as a viewer gets it: the bytes from `start` to `position`, which `records` have.

    `omitted` counts bytes that are not stored, on purpose where there is a `reason`, else because they were lost.
    `encoded` is what the websocket's door made of it, `forms` what HTTP's did, for all of its viewers.
    """

    start: int
    position: int
    records: tuple[Record, ...] = ()
    omitted: int = 0
    reason: str = ""
    encoded: Any = None
    forms: dict[str, bytes] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The bytes as text; records end on characters, so each is decoded by itself."""
        return "".join([record.data.decode("utf-8", "replace") for record in self.records])


@dataclass(slots=True)
class Item:
    """What stands between two cursors of a log: a piece of output, or a note (`kind`), which may tell `changes`."""

    cursor: Cursor
    start: int
    kind: Kind
    piece: Piece | None = None
    changes: dict[str, Any] | None = None


def items_of(records: Iterable[Record], position: int, message_bytes: int) -> Iterator[Item]:
    """Records as what viewers get, from byte `position` on: output joined to pieces of up to `message_bytes`."""
    parts: list[Record] = []
    start, cursor = position, (position, 0)
    for record in records:
        output = record.kind is Kind.OUTPUT
        if parts and (not output or record.position - start > message_bytes):
            yield Item(cursor, start, Kind.OUTPUT, Piece(start, cursor[0], tuple(parts)))
            parts, start = [], cursor[0]
        cursor = record.cursor
        if output:
            part = _from(record, start) if record.start < start else record
            if part.data:
                parts.append(part)
        elif record.kind is Kind.OMITTED:
            gap = record.position - start
            yield Item(cursor, start, record.kind, Piece(start, record.position, (), gap, record.reason))
            start = record.position
        else:
            yield Item(cursor, start, record.kind, changes=record.changes)
    if parts:
        yield Item(cursor, start, Kind.OUTPUT, Piece(start, cursor[0], tuple(parts)))


def _from(record: Record, start: int) -> Record:
    """What a record has from byte `start` on."""
    before = max(0, start - record.start)
    return replace(record, data=record.data[before:], line=record.line + record.data.count(b"\n", 0, before))


def joined(items: list[Item], message_bytes: int) -> Iterator[Item]:
    """The same items with small pieces that follow each other joined: who is behind gets few messages."""
    group: list[Item] = []
    for item in items:
        plain = item.kind is Kind.OUTPUT and item.piece is not None
        if group and not (plain and item.cursor[0] - group[0].start <= message_bytes):
            yield _join(group)
            group = []
        if plain:
            group.append(item)
        else:
            yield item
    if group:
        yield _join(group)


def _join(group: list[Item]) -> Item:
    if len(group) == 1:
        return group[0]
    records = tuple(record for item in group if item.piece for record in item.piece.records)
    start, cursor = group[0].start, group[-1].cursor
    return Item(cursor, start, Kind.OUTPUT, Piece(start, cursor[0], records))


@dataclass(eq=False)
class Feed:
    """The newest items of one run, read or heard once for all viewers that wait for news.

    All that came after the cursor `before` is here; at first nobody knows of anything. `stirred` counts news of the
    run's status that came by no record.
    """

    before: Cursor = (-1, 0)
    items: deque[Item] = field(default_factory=deque)
    size: int = 0
    stirred: int = 0

    @property
    def last(self) -> Cursor:
        """Where the news go on."""
        return self.items[-1].cursor if self.items else self.before

    def extend(self, items: list[Item]) -> bool:
        """Add news, and let the oldest go beyond 2 MiB; False where they do not follow what is here: that goes."""
        follows = items[0].start == self.last[0]
        if not follows:
            self.move((items[0].start, 0))
        for item in items:
            self.items.append(item)
            self.size += item.cursor[0] - item.start
        while len(self.items) > 1 and (self.size > FEED_BYTES or len(self.items) > FEED_ITEMS):
            oldest = self.items.popleft()
            self.size -= oldest.cursor[0] - oldest.start
            self.before = oldest.cursor
        return follows

    def after(self, cursor: Cursor) -> list[Item] | None:
        """The items after `cursor`; None where the log has to be asked."""
        if not self.before <= cursor <= self.last:
            return None
        fresh: list[Item] = []
        for item in reversed(self.items):
            if item.cursor <= cursor:
                break
            fresh.append(item)
        # A viewer that came from the log may stand within a piece.
        if fresh and fresh[-1].start != cursor[0]:
            return None
        return fresh[::-1]

    def move(self, cursor: Cursor) -> None:
        """News begin at `cursor`; what was before is in the log."""
        self.items.clear()
        self.size, self.before = 0, cursor


@dataclass(eq=False)
class WatchedFeed(Feed, Generic[V]):
    """A feed with its viewers; `run` is as it was last read for one of them.

    `told` is as they were all told of it, with the count of `stirred`.
    """

    viewers: list[V] = field(default_factory=list)
    run: Run | None = None
    told: tuple[int, Run] | None = None
