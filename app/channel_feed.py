"""What channels change to, read once for all streams of a node: each has a bounded list of what it has not sent yet.

A stream costs no thread and no connection to the store. One whose reader is too slow loses its list, and is told how
much it has missed and what its channels hold now.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.errors import StoreUnavailable
from app.stack import Stack
from app.store.channels import Change, ChannelStore

logger = logging.getLogger(__name__)

# What waits for a reader who takes nothing now.
MOST_WAITING = 1024
WAIT_SECONDS = 1.0
RETRY_SECONDS = 0.2

# `past` (a Change before the first snapshot), `snapshot` (the moment, and all values), `change` (a Change), `missed`
# (how many; None: nobody knows), `silence`.
Event = tuple[str, Any]


class Listener:
    """One stream: the events of the channels that it names, and one of `silence` after so many seconds without."""

    def __init__(self, stack: Stack, store: ChannelStore, names: Sequence[str], silence: float) -> None:
        self.names = tuple(names)
        self._stack, self._store, self._silence = stack, store, silence
        self._signal, self._guard = stack.signal(), stack.lock()
        self._waiting: deque[Change] = deque()
        # Counted while nothing waits any more; None where it is not known how many.
        self._missed: int | None = 0
        self._moment = 0
        self._first: deque[Event] = deque()
        self.closed = False

    def begin(self, after: int | None, past: float = 0.0) -> list[str]:
        """Read what the channels hold, or what came after a moment; the names of those that do not exist.

        Without a moment what came in the `past` seconds goes before. Call it once the feed is joined, so that nothing
        comes between. Raises: StoreUnavailable.
        """
        self._moment, found = self._store.read(self.names)
        snapshot: Event = ("snapshot", (self._moment, found))
        again = None if after is None else self._store.since(after)
        if again is not None:
            # Later than the values above: what is in both is sent once.
            self._moment, changes = again
            self._first.extend(("change", each) for each in changes if each.name in self.names)
        elif after is not None:
            self._first.extend([("missed", None), snapshot])
        else:
            before = self._store.past(past) if past else []
            self._first.extend(
                ("past", each) for each in before if each.name in found and each.sequence <= self._moment
            )
            self._first.append(snapshot)
        return [name for name in self.names if name not in found]

    def push(self, change: Change) -> None:
        """A channel of these has changed."""
        with self._guard:
            if self._missed != 0:
                self._missed = None if self._missed is None else self._missed + 1
            elif len(self._waiting) < MOST_WAITING:
                self._waiting.append(change)
            else:
                self._missed = len(self._waiting) + 1
                self._waiting.clear()
        self._signal.set()

    def miss(self) -> None:
        """Changes may have been missed by the node itself."""
        with self._guard:
            self._missed = None
            self._waiting.clear()
        self._signal.set()

    def first(self) -> Iterator[Event]:
        """What there was as it began, once."""
        while self._first:
            yield self._first.popleft()

    def close(self) -> None:
        """No more events: from the outside, or since nobody takes them."""
        self.closed = True
        self._signal.set()

    def __iter__(self) -> Iterator[Event]:
        yield from self.first()
        deadline = time.monotonic() + self._silence
        while not self.closed:
            found = self._next()
            if found:
                yield from found
            elif self._signal.wait(max(0.0, deadline - time.monotonic())):
                continue
            elif self.closed:
                return
            else:
                yield "silence", None
            # Who asks for the next event has sent this one.
            deadline = time.monotonic() + self._silence

    def _next(self) -> list[Event]:
        with self._guard:
            missed, self._missed = self._missed, 0
            while self._waiting and missed == 0:
                change = self._waiting.popleft()
                if change.sequence > self._moment:
                    return [("change", change)]
        return [] if missed == 0 else self._again(missed)

    def _again(self, missed: int | None) -> list[Event]:
        """What was missed, and what the channels hold now; what comes meanwhile waits."""
        try:
            self._moment, found = self._store.read(self.names)
        except StoreUnavailable:
            self.miss()
            self._stack.sleep(RETRY_SECONDS)
            return []
        return [("missed", missed), ("snapshot", (self._moment, found))]


class ChannelFeed:
    """The listeners of this node, and the one reader that brings them what changes."""

    def __init__(self, stack: Stack, store: ChannelStore) -> None:
        self._stack, self._store = stack, store
        self._by_name: dict[str, set[Listener]] = {}
        self._all: set[Listener] = set()
        self._lock = stack.lock()
        self._reading = False
        self._moment = 0

    def listen(self, names: Sequence[str], silence: float) -> Listener:
        """A new listener, which hears nothing before it joins."""
        return Listener(self._stack, self._store, names, silence)

    def join(self, listener: Listener) -> None:
        """From now on it hears every change.

        Raises: StoreUnavailable.
        """
        with self._lock:
            if not self._reading:
                self._moment = self._store.end()
                self._reading = True
                self._stack.spawn(self._read)
            self._all.add(listener)
            for name in listener.names:
                self._by_name.setdefault(name, set()).add(listener)

    def leave(self, listener: Listener) -> None:
        """It hears no more."""
        listener.close()
        with self._lock:
            self._all.discard(listener)
            for name in listener.names:
                others = self._by_name.get(name, set())
                others.discard(listener)
                if not others:
                    self._by_name.pop(name, None)

    def _read(self) -> None:
        """As long as anybody listens: wait for changes, and bring them."""
        while True:
            with self._lock:
                if not self._all:
                    self._reading = False
                    return
            try:
                changes = self._store.wait(self._moment, WAIT_SECONDS)
                end = self._moment if changes else self._store.end()
            except StoreUnavailable:
                self._stack.sleep(RETRY_SECONDS)
                continue
            except Exception:
                # Without it no stream of this node would hear anything any more.
                logger.exception("the reader of channels failed, and goes on")
                self._stack.sleep(WAIT_SECONDS)
                continue
            with self._lock:
                if end < self._moment:
                    # It has forgotten its newest changes, and may use their numbers again.
                    self._miss()
                    self._moment = end
                self._bring(changes)
            # Whoever puts it on the wire goes before whoever waits for what comes next.
            self._stack.sleep(0)

    def _bring(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.previous != self._moment:
                # The store keeps so many, or has lost some: what they were nobody knows.
                self._miss()
            self._moment = change.sequence
            for listener in self._by_name.get(change.name, ()):
                listener.push(change)

    def _miss(self) -> None:
        for listener in self._all:
            listener.miss()
