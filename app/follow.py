"""Followers: one reader a node waits for the news of all watched runs; each viewer has a position and a window.

A viewer that stops reading costs its position: nothing is queued for it, and it catches up from the log later on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from app.errors import StoreUnavailable
from app.model import Kind, Record, Run
from app.output import Output
from app.stack import Signal, Stack
from app.store.log import Cursor, Log, total
from app.store.runs import Runs

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
FEED_BYTES = 2_097_152
READ_RECORDS = 16
READ_BYTES = 1_048_576
MOST_RECORDS = 1024
# What a record holds in a flood, and the least that is reckoned for one: most are a line or two.
FULL_RECORD = 65_536
SMALL_RECORD = 256
MESSAGE_BYTES = 262_144
ROOM_POLL_SECONDS = 0.003
RETRY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Piece:
    """Output as a viewer gets it: text of the bytes from `start` to `position`; `omitted` counts bytes not stored."""

    start: int
    position: int
    text: str
    omitted: int = 0


@dataclass(eq=False)
class Viewer:
    """Somebody who watches a run.

    `send_output` and `send_status` deliver; `has_room` tells whether the way to the viewer takes more now. With a
    `window` (bytes) no more is sent than that beyond what the viewer acknowledged.
    """

    run_id: str
    position: int
    send_output: Callable[[Piece], object]
    send_status: Callable[[Run], object]
    has_room: Callable[[], bool]
    window: int | None
    wake: Signal
    acknowledged: int = 0
    closed: bool = False
    hungry: bool = False
    cursor: Cursor = (0, 0)
    typical: int = FULL_RECORD

    @property
    def allowance(self) -> int:
        """Bytes that may be sent now; a window's worth once everything is acknowledged."""
        return READ_BYTES if self.window is None else self.window - (self.position - self.acknowledged)

    def takes(self, size: int) -> bool:
        """May `size` bytes more be sent? A piece larger than the window is, once all before it is acknowledged."""
        return size <= self.allowance or self.position == self.acknowledged

    def acknowledge(self, position: int) -> None:
        """The viewer has shown everything up to `position`; late, repeated or wrong ones change nothing."""
        if self.acknowledged < position <= self.position:
            self.acknowledged = position
            self.wake.set()

    def close(self) -> None:
        """Nothing more is sent."""
        self.closed = True
        self.wake.set()


@dataclass(eq=False)
class Feed:
    """A watched run on this node: its newest records, read once for all viewers that wait for news."""

    before: Cursor
    records: deque[Record] = field(default_factory=deque)
    size: int = 0
    viewers: list[Viewer] = field(default_factory=list)

    @property
    def last(self) -> Cursor:
        """Where the next read goes on."""
        return self.records[-1].cursor if self.records else self.before

    @property
    def hungry(self) -> bool:
        """Does a viewer wait for news? Else nobody reads: viewers that are behind read the log by themselves."""
        return any(viewer.hungry for viewer in self.viewers)

    def extend(self, records: list[Record]) -> None:
        """Add news; the oldest goes beyond 2 MiB."""
        for record in records:
            self.records.append(record)
            self.size += len(record.data)
        while self.size > FEED_BYTES and len(self.records) > 1:
            oldest = self.records.popleft()
            self.size -= len(oldest.data)
            self.before = oldest.cursor
        for viewer in self.viewers:
            viewer.hungry = False
            viewer.wake.set()

    def after(self, cursor: Cursor) -> list[Record] | None:
        """The records after `cursor`; None where the log has to be asked."""
        if not self.before <= cursor <= self.last:
            return None
        fresh: list[Record] = []
        for record in reversed(self.records):
            if record.cursor <= cursor:
                break
            fresh.append(record)
        return fresh[::-1]

    def move(self, cursor: Cursor) -> None:
        """The log ends at `cursor`, where a viewer stands: news begin there."""
        self.records.clear()
        self.size, self.before = 0, cursor


class Followers:
    """All viewers of this node."""

    def __init__(self, stack: Stack, log: Log, output: Output, runs: Runs) -> None:
        self._stack, self._log, self._stored, self._runs = stack, log, output, runs
        self._feeds: dict[str, Feed] = {}
        self._lock = stack.lock()
        self._hungry = stack.signal()
        self._waiting = self._reading = False

    def watch(self, viewer: Viewer) -> None:
        """Serve `viewer` from its position on until it is closed or the run has ended."""
        viewer.cursor, viewer.acknowledged = (viewer.position, 0), viewer.position
        self._stack.spawn(self._serve, viewer)

    def _join(self, viewer: Viewer) -> Feed:
        with self._lock:
            feed = self._feeds.setdefault(viewer.run_id, Feed(viewer.cursor))
            feed.viewers.append(viewer)
            if not self._reading:
                self._reading = True
                self._stack.spawn(self._read)
            return feed

    def _leave(self, viewer: Viewer) -> None:
        with self._lock:
            feed = self._feeds.get(viewer.run_id)
            if feed is not None and viewer in feed.viewers:
                feed.viewers.remove(viewer)
                if not feed.viewers:
                    del self._feeds[viewer.run_id]

    def _read(self) -> None:
        """For ever: wait for the news of all runs that somebody waits for."""
        while True:
            with self._lock:
                after = {run_id: feed.last for run_id, feed in self._feeds.items() if feed.hungry}
                self._waiting = bool(after)
            if not after:
                self._hungry.wait()
                continue
            try:
                news = self._log.wait(after, WAIT_SECONDS, READ_RECORDS)
            except StoreUnavailable:
                self._stack.sleep(RETRY_SECONDS)
                continue
            except Exception:
                # Without it no viewer of this node would get news any more.
                logger.exception("the followers' reader failed, and goes on")
                self._stack.sleep(RETRY_SECONDS)
                continue
            with self._lock:
                for run_id, records in news.items():
                    feed = self._feeds.get(run_id)
                    if feed is not None and feed.last == after[run_id]:
                        feed.extend(records)
            self._stack.sleep(0)

    def _serve(self, viewer: Viewer) -> None:
        feed: Feed | None = None
        try:
            while not viewer.closed:
                try:
                    feed = feed or self._join(viewer)
                    if not viewer.has_room():
                        self._stack.sleep(ROOM_POLL_SECONDS)
                    elif not viewer.takes(viewer.typical):
                        viewer.wake.wait(WAIT_SECONDS)
                    elif not self._advance(viewer, feed):
                        return
                except StoreUnavailable:
                    self._stack.sleep(RETRY_SECONDS)
        except Exception:
            logger.exception("a viewer of run %s is no longer served", viewer.run_id)
        finally:
            viewer.closed = True
            self._leave(viewer)

    def _advance(self, viewer: Viewer, feed: Feed) -> bool:
        """Send what comes next, or wait for it; False after the end of the run."""
        with self._lock:
            records = feed.after(viewer.cursor)
        if records is None:
            records = self._read_back(viewer)
        if not records:
            self._await_news(viewer, feed)
            return True
        for message in _messages(viewer, records):
            if isinstance(message, Piece):
                viewer.send_output(message)
            else:
                run = self._runs.get(viewer.run_id)
                # The record may be ahead of the log: the final status waits until all output before it is sent.
                if run is not None and (message is Kind.END or not run.status.final):
                    viewer.send_status(run)
                if message is Kind.END:
                    return False
            if not viewer.has_room():
                break
        # Whoever puts it on the wire goes before whoever waits for what comes next.
        self._stack.sleep(0)
        return True

    def _read_back(self, viewer: Viewer) -> list[Record]:
        """Records from the log: about as many as the viewer may get now."""
        count = max(1, min(MOST_RECORDS, min(viewer.allowance, READ_BYTES) // viewer.typical))
        records = self._stored.read(viewer.run_id, viewer.cursor, count)
        if records:
            viewer.typical = max(SMALL_RECORD, min(FULL_RECORD, total(records) // len(records)))
        return records

    def _await_news(self, viewer: Viewer, feed: Feed) -> None:
        with self._lock:
            if feed.last < viewer.cursor:
                feed.move(viewer.cursor)
            elif feed.last > viewer.cursor:
                return
            waiting, known = self._waiting, feed.hungry
            viewer.hungry = True
        self._hungry.set()
        if waiting and not known:
            # The reader waits for other runs' news at this moment: have it wait for this one's too.
            self._log.wake()
        viewer.wake.wait(WAIT_SECONDS)


def _messages(viewer: Viewer, records: list[Record]) -> Iterator[Piece | Kind]:
    """What to send of `records`, within the viewer's allowance; the viewer's position moves on with each."""
    texts: list[str] = []
    start = viewer.position
    for record in records:
        if record.kind is Kind.OUTPUT:
            data = record.data[max(0, viewer.position - record.start) :]
            if not viewer.takes(len(data)):
                viewer.typical = max(viewer.typical, min(FULL_RECORD, len(data)))
                break
            texts += [data.decode("utf-8", "replace")] if data else []
        if texts and (record.kind is not Kind.OUTPUT or record.position - start >= MESSAGE_BYTES):
            position = record.position if record.kind is Kind.OUTPUT else viewer.position
            viewer.position = position
            yield Piece(start, position, "".join(texts))
            texts, start = [], position
        viewer.position, viewer.cursor = max(record.position, viewer.position), record.cursor
        if record.kind is Kind.OMITTED:
            yield Piece(start, viewer.position, "", record.omitted)
            start = viewer.position
        elif record.kind is not Kind.OUTPUT:
            yield record.kind
    if texts:
        yield Piece(start, viewer.position, "".join(texts))
