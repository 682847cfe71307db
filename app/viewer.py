"""A viewer: somebody who watches a run, with a position, a window and acknowledgements."""

from __future__ import annotations

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
