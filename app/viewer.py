"""A viewer: somebody who watches a run, with a position, a window and acknowledgements."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from app.feed import Item, Piece
from app.model import Run
from app.stack import Signal
from app.store.log import Cursor

READ_BYTES = 1_048_576
# What a record holds in a flood, and the least that is reckoned for one: most are a line or two.
FULL_RECORD = 65_536
SMALL_RECORD = 256


@dataclass(eq=False)
class Viewer:
    """Somebody who watches a run.

    `send_output` and `send_status` deliver, `send_behind` the position of the output's end to who is far from it;
    `has_room` tells whether the way to the viewer takes more now. With a
    `window` (bytes) no more is sent than that beyond what the viewer acknowledged.
    """

    run_id: str
    position: int
    send_output: Callable[[Piece], object]
    send_status: Callable[[Run], object]
    send_behind: Callable[[int], object]
    has_room: Callable[[], bool]
    window: int | None
    wake: Signal
    acknowledged: int = 0
    closed: bool = False
    # It stands at the end of its feed and waits: whoever brings news may send them.
    hungry: bool = False
    cursor: Cursor = (0, 0)
    typical: int = FULL_RECORD
    needs: int = 1
    stirred: int = 0
    warned: float = 0.0
    # As it was when the viewer came.
    run: Run | None = None

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
            if not self.hungry:
                self.wake.set()

    def send(self, item: Item) -> None:
        """Send a piece, and stand after it."""
        if item.piece is not None:
            self.send_output(item.piece)
        self.position, self.cursor = max(self.position, item.cursor[0]), item.cursor

    def close(self) -> None:
        """Nothing more is sent."""
        self.closed = True
        self.wake.set()


class Viewers:
    """The viewers of one page: one for each run, `most` of them at once, and none once the page is gone."""

    def __init__(self, most: int) -> None:
        self._most, self._by_run = most, dict[str, Viewer]()
        self._gone = False
        # Events of one page may be answered side by side. Held for moments that wait for nothing.
        self._lock = threading.Lock()

    def add(self, viewer: Viewer) -> None:
        """Instead of another of its run; one too many closes the oldest, and one for a page that is gone is closed."""
        with self._lock:
            before = self._by_run.pop(viewer.run_id, None)
            self._by_run[viewer.run_id] = viewer
            surplus = [] if before is None else [before]
            if len(self._by_run) > self._most:
                ended = [run_id for run_id, each in self._by_run.items() if each.closed]
                surplus += [self._by_run.pop(run_id) for run_id in ended or (next(iter(self._by_run)),)]
            if self._gone:
                surplus.append(viewer)
        for each in surplus:
            each.close()

    def of(self, run_id: str) -> Viewer | None:
        """A run's viewer."""
        return self._by_run.get(run_id)

    def drop(self, run_id: str) -> None:
        """Nobody watches this run any more."""
        with self._lock:
            viewer = self._by_run.pop(run_id, None)
        if viewer is not None:
            viewer.close()

    def close(self) -> None:
        """The page is gone."""
        with self._lock:
            self._gone = True
            viewers = list(self._by_run.values())
        for each in viewers:
            each.close()
