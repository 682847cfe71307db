"""Pages that are told the newest of something: each gets what is newest at its turn, and never what is older.

Turns are spread over time, so that ten thousand pages hold nobody up; a page that does not read costs no memory.
"""

from __future__ import annotations

import time
from itertools import islice

from app.sockets import Socket
from app.stack import Stack
from app.wire import QUEUE_PACKETS, Encoded, Wire

# So many pages take the hub a millisecond or two; with the pause between them, 2,000 a second are told.
SLICE = 100
SLICE_SECONDS = 0.05
# A page whose connection has not been free for so long, such as by a flood of output, is told as soon as it has room.
PATIENCE_SECONDS = 5.0


class Audience:
    """The pages of a namespace. Usable from several pieces of hub code at a time."""

    def __init__(self, stack: Stack, wire: Wire) -> None:
        self._wire, self._guard = wire, stack.lock()
        # By sid; and when each was told last.
        self._pages: dict[str, Socket] = {}
        self._told: dict[str, float] = {}
        # Whose turn is to come, in order; and those that had no room at their last turn.
        self._waiting: dict[str, None] = {}
        self._busy: dict[str, None] = {}
        self._newest: Encoded | None = None

    def __len__(self) -> int:
        return len(self._pages)

    def enter(self, socket: Socket) -> None:
        """One page more; it is told the newest."""
        with self._guard:
            self._pages[socket.sid] = socket
            self._told[socket.sid] = time.monotonic()
            self._waiting[socket.sid] = None

    def leave(self, sid: str) -> None:
        """One page less, if it was there."""
        with self._guard:
            for known in (self._pages, self._told, self._waiting, self._busy):
                known.pop(sid, None)

    def publish(self, event: Encoded) -> None:
        """Something is newest: each page has a turn, behind those who wait for one already."""
        with self._guard:
            self._newest = event
            self._waiting.update(dict.fromkeys(self._pages))
            self._busy.clear()

    def try_again(self) -> None:
        """Give those another turn that had no room."""
        with self._guard:
            self._waiting.update(self._busy)
            self._busy.clear()

    def tell_some(self) -> bool:
        """Tell some of those who wait; True where more do, who should have their turn in SLICE_SECONDS."""
        with self._guard:
            event = self._newest
            if event is None:
                return False
            sids = list(islice(self._waiting, SLICE))
            for sid in sids:
                del self._waiting[sid]
        for sid in sids:
            self._tell(sid, event)
        return bool(self._waiting)

    def _tell(self, sid: str, event: Encoded) -> None:
        page, told = self._pages.get(sid), self._told.get(sid)
        if page is None or told is None:
            return
        if not self._wire.is_greeted(sid, page.namespace):
            self._put(sid, self._waiting)
            return
        now = time.monotonic()
        # Where anything waits, what was sent last may: a newer one would only queue behind it.
        most = QUEUE_PACKETS if now - told > PATIENCE_SECONDS else 1
        if not self._wire.has_room(page.address, most):
            self._put(sid, self._busy)
            return
        with self._guard:
            if sid not in self._pages:
                return
            self._told[sid] = now
        self._wire.send(page.address, event)

    def _put(self, sid: str, turns: dict[str, None]) -> None:
        with self._guard:
            if sid in self._pages:
                turns[sid] = None
