"""The namespace `/test` and its page `/test`: the time, pushed each second; the least example of a state push.

It costs nothing while nobody is there: its task begins with the first page and ends after the last.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, render_template, request
from flask_socketio import SocketIO

from app import auth, messages, rights, visitors
from app.audience import SLICE_SECONDS, Audience
from app.errors import RealtimeError
from app.sockets import Sockets, door_of, sid_of
from app.stack import Stack
from app.wire import Wire, encode

logger = logging.getLogger(__name__)

NAMESPACE = "/test"
MY_EVENT = "my event"
TICK_SECONDS = 1.0
bp = Blueprint("ticker", __name__)


def register(app: Flask) -> None:
    """Give `app` the page."""
    app.register_blueprint(bp)


@bp.get("/test")
def page() -> str:
    """A page that shows the time it is told."""
    return render_template("test.html", path=f"{request.script_root}/socket.io")


class Ticker:
    """It sends `message` each second, `my response` to whoever connects and to each `my event`."""

    def __init__(self, socketio: SocketIO, sockets: Sockets, stack: Stack, wire: Wire) -> None:
        self._socketio, self._sockets, self._stack, self._wire = socketio, sockets, stack, wire
        self._audience, self._guard = Audience(stack, wire), stack.lock()
        self._ticking = False
        # How many events came of each connection. Its lock is never held while anything is sent: who cannot be sent
        # to may be found gone in that very moment, and is forgotten then.
        self._counts: dict[str, int] = {}
        self._counting = stack.lock()
        # The connections that have not been told "Connected" yet.
        self._new: set[str] = set()
        socketio.on_event("connect", self._connect, namespace=NAMESPACE)
        socketio.server.on("disconnect", self._disconnect, namespace=NAMESPACE)
        socketio.on_event(MY_EVENT, self._my_event, namespace=NAMESPACE)

    def _connect(self, *_auth: object) -> None:
        socket = self._sockets.enter()
        self._counts[socket.sid] = 0
        self._new.add(socket.sid)
        self._audience.enter(socket)
        if not self._sockets.knows(socket.sid):
            # It went before it was one of the audience, which nobody would tell.
            self._disconnect(socket.sid)
        self._stack.spawn(self._greet, socket.sid)
        # Looked at and set in one step: of two pages that come first, one begins the task.
        with self._guard:
            begins, self._ticking = not self._ticking, True
        if begins:
            self._stack.spawn(self._tick)

    def _greet(self, sid: str) -> None:
        # Nothing may come before the answer to its connection.
        while sid in self._new and not self._wire.is_greeted(sid, NAMESPACE):
            self._stack.sleep(SLICE_SECONDS)
        self._welcome(sid)

    def _welcome(self, sid: str) -> None:
        # Before whatever else it is told: who sends an event at once may be first to come here.
        with self._guard:
            if sid in self._new:
                self._new.discard(sid)
                self._respond(sid, "Connected", 0)

    def _respond(self, sid: str, data: str, count: int) -> None:
        self._socketio.emit("my response", {"data": data, "count": count}, to=sid, namespace=NAMESPACE)

    def _disconnect(self, sid: str, *_reason: object) -> None:
        self._sockets.leave(sid)
        with self._counting:
            self._counts.pop(sid, None)
        self._new.discard(sid)
        self._audience.leave(sid)

    def _my_event(self, *args: Any) -> None:
        door, sid = door_of(NAMESPACE, MY_EVENT), sid_of()
        visitors.arrive(request.environ, door)
        self._welcome(sid)
        try:
            rights.require(auth.current_user(), rights.DOORS[door])
            data = messages.text(messages.only(MY_EVENT, args), "data", "")
        except RealtimeError as error:
            wrong = {**error.as_dict(), "event": MY_EVENT}
            self._socketio.emit("error", wrong, to=sid, namespace=NAMESPACE)
            return
        with self._counting:
            count = self._counts.get(sid, -1) + 1
            if count:
                self._counts[sid] = count
        if count:
            self._respond(sid, data or "", count)

    def _tick(self) -> None:
        while True:
            try:
                self._tell_all()
            except Exception:
                logger.exception("the time could not be told, and is again")
            self._stack.sleep(TICK_SECONDS)
            with self._guard:
                if not self._audience:
                    self._ticking = False
                    return

    def _tell_all(self) -> None:
        time = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        self._audience.publish(encode("message", {"data": "This is data", "time": time}, NAMESPACE))
        self._audience.try_again()
        while self._audience.tell_some():
            self._stack.sleep(SLICE_SECONDS)
