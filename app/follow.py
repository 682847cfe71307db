"""Followers: what a node's viewers watch, read once for all of them; each viewer has a position and a window.

What this process stores reaches its viewers as soon as the store has it; one reader a node waits for the news of all
other watched runs. A viewer that stops reading costs its position: nothing is queued for it, and it catches up from the
log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.errors import StoreUnavailable
from app.feed import Item, WatchedFeed, items_of, joined
from app.model import Kind, Record, Run
from app.output import Output
from app.stack import Stack
from app.store.log import Cursor, Log, total
from app.store.runs import Runs
from app.viewer import FULL_RECORD, READ_BYTES, SMALL_RECORD, Viewer

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
READ_RECORDS = 16
MOST_RECORDS = 1024
ROOM_POLL_SECONDS = 0.003
# Who is so far behind is told, and may rather go on with the end than with what has long been overtaken.
FAR_BYTES = 8_388_608
WARN_SECONDS = 1.0
RETRY_SECONDS = 0.2


class Followers:
    """All viewers of this node; `is_local` tells whether a run's output is stored by this very process."""

    def __init__(
        self,
        stack: Stack,
        log: Log,
        output: Output,
        runs: Runs,
        *,
        is_local: Callable[[str], bool],
        message_bytes: int,
    ) -> None:
        self._stack, self._log, self._stored, self._runs = stack, log, output, runs
        self._is_local, self._message_bytes = is_local, message_bytes
        self._feeds: dict[str, WatchedFeed[Viewer]] = {}
        self._lock = stack.lock()
        self._hungry = stack.signal()
        self._waiting = self._reading = False
        self._looked = 0.0

    def watch(self, viewer: Viewer) -> None:
        """Serve `viewer` from its position on until it is closed or the run has ended."""
        viewer.cursor, viewer.acknowledged = (viewer.position, 0), viewer.position
        self._stack.spawn(self._serve, viewer)

    def known(self, run_id: str) -> Run | None:
        """A run that somebody watches here, as it was when they were last told of it."""
        feed = self._feeds.get(run_id)
        return feed.run if feed is not None else None

    def heard(self, run_id: str, records: Sequence[Record]) -> None:
        """These records have just been stored by this process."""
        feed = self._feeds.get(run_id)
        if feed is not None:
            with self._lock:
                self._news(feed, records)

    def watched_here(self) -> set[str]:
        """Runs of this very process that somebody watches at this node."""
        return {run_id for run_id in list(self._feeds) if self._is_local(run_id)}

    def wait_until_told(self, run_ids: set[str], deadline: float) -> None:
        """Wait until nobody watches these runs, which have ended, any more; at most until then, by time.monotonic."""
        while any(run_id in self._feeds for run_id in run_ids) and time.monotonic() < deadline:
            self._stack.sleep(ROOM_POLL_SECONDS)

    def stir(self, run_id: str) -> None:
        """The run's status, or something else that viewers are told, has just been changed by this process."""
        feed = self._feeds.get(run_id)
        if feed is None or (feed.run is not None and feed.run.executor != "thread"):
            # The reader always waits for the news of runs elsewhere; for those here only until they begin.
            return
        with self._lock:
            feed.stirred += 1
            for viewer in feed.viewers:
                viewer.wake.set()

    def _news(self, feed: WatchedFeed[Viewer], records: Sequence[Record]) -> None:
        """Under the lock: send news to all who wait for them; who cannot take them now goes on by itself."""
        fresh = [record for record in records if record.cursor > feed.last]
        if not fresh:
            return
        items = list(items_of(fresh, fresh[0].start, self._message_bytes))
        before, size = feed.last, fresh[-1].position - fresh[0].start
        follows = feed.extend(items) and all(item.piece is not None for item in items)
        for viewer in feed.viewers:
            if not viewer.hungry:
                continue
            if follows and viewer.cursor == before and viewer.takes(size) and viewer.has_room():
                self._push(viewer, items)
            else:
                viewer.hungry = False
                viewer.wake.set()

    @staticmethod
    def _push(viewer: Viewer, items: list[Item]) -> None:
        try:
            for item in items:
                viewer.send(item)
        except Exception:
            logger.exception("news of run %s did not reach a viewer, who asks for them", viewer.run_id)
            viewer.hungry = False
            viewer.wake.set()

    def _join(self, viewer: Viewer) -> WatchedFeed[Viewer]:
        with self._lock:
            feed = self._feeds.setdefault(viewer.run_id, WatchedFeed())
            feed.run = feed.run or viewer.run
            viewer.stirred = feed.stirred
            feed.viewers.append(viewer)
            if not self._reading:
                self._reading = True
                self._stack.spawn(self._read)
        self._hungry.set()
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
                after = {run_id: feed.last for run_id, feed in self._feeds.items() if self._is_waited_for(feed)}
                remote = {run_id: cursor for run_id, cursor in after.items() if not self._is_local(run_id)}
                self._waiting = bool(remote)
            try:
                news = self._wait(remote, {run_id: after[run_id] for run_id in after.keys() - remote.keys()})
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
                        self._news(feed, records)
            self._stack.sleep(0)

    def _wait(self, remote: dict[str, Cursor], local: dict[str, Cursor]) -> dict[str, list[Record]]:
        if remote:
            news = self._log.wait(remote, WAIT_SECONDS, READ_RECORDS)
        else:
            news = {}
            self._hungry.wait(WAIT_SECONDS if self._feeds else None)
        if time.monotonic() - self._looked > WAIT_SECONDS:
            self._looked = time.monotonic()
            # Other nodes may add notes to the runs of this one, such as that somebody pressed Stop there.
            news |= {run_id: self._log.read(run_id, cursor, READ_RECORDS) for run_id, cursor in local.items()}
        return news

    @staticmethod
    def _is_waited_for(feed: WatchedFeed[Viewer]) -> bool:
        """Does a viewer wait for news? Else nobody reads: viewers that are behind read the log by themselves."""
        return any(viewer.hungry for viewer in feed.viewers)

    def _serve(self, viewer: Viewer) -> None:
        feed: WatchedFeed[Viewer] | None = None
        try:
            while not viewer.closed:
                try:
                    feed = feed or self._join(viewer)
                    if not viewer.has_room():
                        self._stack.sleep(ROOM_POLL_SECONDS)
                    elif not viewer.takes(viewer.needs):
                        viewer.wake.wait(WAIT_SECONDS)
                    elif not self._advance(viewer, feed):
                        return
                except StoreUnavailable:
                    self._stack.sleep(RETRY_SECONDS)
                except Exception:
                    # Left alone, its page would wait for ever, and show nothing of it.
                    logger.exception("a viewer of run %s could not be served, and is again", viewer.run_id)
                    self._stack.sleep(WAIT_SECONDS)
        finally:
            viewer.closed = True
            self._leave(viewer)

    def _advance(self, viewer: Viewer, feed: WatchedFeed[Viewer]) -> bool:
        """Send what comes next, or wait for it; False after the end of the run."""
        with self._lock:
            # From here on it is not served by whoever brings news.
            viewer.hungry = False
            stirred = viewer.stirred != feed.stirred
            viewer.stirred = feed.stirred
            items = None if stirred else feed.after(viewer.cursor)
        heard = items is not None
        if stirred:
            self._tell_news(viewer, feed)
        if items is None:
            items = list(items_of(self._read_back(viewer), viewer.position, self._message_bytes))
            if not items and self._is_deleted(viewer):
                return False
        if not items:
            self._await_news(viewer, feed)
            return True
        return self._send(viewer, feed, items, heard=heard)

    def _send(self, viewer: Viewer, feed: WatchedFeed[Viewer], items: list[Item], *, heard: bool) -> bool:
        viewer.needs = 1
        for item in joined(items, self._message_bytes):
            size = item.cursor[0] - item.start
            if not viewer.takes(size):
                viewer.needs = size
                break
            if item.kind in (Kind.STATUS, Kind.END):
                # Before it stands after the note: a store that cannot be asked now is asked again.
                self._tell_status(viewer, feed, item, newest=heard and item.cursor == feed.last)
            viewer.send(item)
            if item.kind is Kind.END:
                return False
            if not viewer.has_room():
                break
        if feed.last[0] - viewer.position > FAR_BYTES and time.monotonic() - viewer.warned > WARN_SECONDS:
            viewer.warned = time.monotonic()
            viewer.send_behind(feed.last[0])
        # Whoever puts it on the wire goes before whoever waits for what comes next.
        self._stack.sleep(0)
        return True

    def _tell_status(self, viewer: Viewer, feed: WatchedFeed[Viewer], item: Item, *, newest: bool) -> None:
        ended = item.kind is Kind.END
        if feed.run is not None and item.changes and (ended or newest):
            run: Run | None = replace(feed.run, **item.changes)
        else:
            # An older note tells of what was.
            run = self._runs.get(viewer.run_id)
        feed.run = run
        # The record may be ahead of the log: the final status waits until all output before it is sent.
        if run is not None and (ended or not run.status.final):
            viewer.send_status(run)

    def _tell_news(self, viewer: Viewer, feed: WatchedFeed[Viewer]) -> None:
        """The run's status, read once for all viewers."""
        told = feed.told
        if told is None or told[0] != feed.stirred:
            stirred, run = feed.stirred, self._runs.get(viewer.run_id)
            if run is None:
                return
            feed.run = run
            told = feed.told = (stirred, run)
        if not told[1].status.final:
            viewer.send_status(told[1])

    def _read_back(self, viewer: Viewer) -> list[Record]:
        """Records from the log: about as many as the viewer may get now."""
        count = max(1, min(MOST_RECORDS, min(viewer.allowance, READ_BYTES) // viewer.typical))
        records = self._stored.read(viewer.run_id, viewer.cursor, count)
        if records:
            viewer.typical = max(SMALL_RECORD, min(FULL_RECORD, total(records) // len(records)))
        return records

    def _is_deleted(self, viewer: Viewer) -> bool:
        """Was the run deleted while this viewer was on its way? One that has ended has at least its end to tell."""
        run = self._runs.get(viewer.run_id)
        return run is None or (run.status.final and not self._read_back(viewer))

    def _await_news(self, viewer: Viewer, feed: WatchedFeed[Viewer]) -> None:
        with self._lock:
            if feed.last > viewer.cursor or viewer.stirred != feed.stirred:
                return
            if feed.last < viewer.cursor:
                feed.move(viewer.cursor)
                for other in feed.viewers:
                    # What they wait for has come, by another way.
                    other.hungry = False
                    other.wake.set()
            waiting, known = self._waiting, self._is_waited_for(feed)
            viewer.hungry = True
        if not known and not self._is_local(viewer.run_id):
            self._hungry.set()
            if waiting:
                # The reader waits for other runs' news at this moment: have it wait for this one's too.
                self._log.wake()
        viewer.wake.wait(WAIT_SECONDS)
