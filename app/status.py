"""The namespace `/status`: one task of this node tells all of its pages the state of the system, when it changes."""

from __future__ import annotations

import logging
import time

from flask_socketio import SocketIO

from app.audience import SLICE_SECONDS, Audience
from app.sockets import Sockets
from app.stack import Stack
from app.system import LOOK_SECONDS, System
from app.wire import Wire, encode

logger = logging.getLogger(__name__)

NAMESPACE = "/status"


class StatusDoor:
    """The pages that show the state; it sends `state`, and hears nothing."""

    def __init__(self, socketio: SocketIO, sockets: Sockets, stack: Stack, wire: Wire, system: System) -> None:
        self._sockets, self._stack, self._system = sockets, stack, system
        self._audience, self._news = Audience(stack, wire), stack.signal()
        self._closing, self._tried = False, 0.0
        socketio.on_event("connect", self._connect, namespace=NAMESPACE)
        socketio.server.on("disconnect", self._disconnect, namespace=NAMESPACE)

    def _connect(self, *_auth: object) -> None:
        self._audience.enter(self._sockets.enter())
        self._news.set()

    def _disconnect(self, sid: str, *_reason: object) -> None:
        self._sockets.leave(sid)
        self._audience.leave(sid)

    def hear(self, *_news: object) -> None:
        """Something has changed that is told at once, such as the store's health."""
        self._news.set()

    def push(self) -> None:
        """Until `close`: look each second, and tell."""
        while not self._closing:
            try:
                more = self._round()
            except Exception:
                logger.exception("the pages could not be told how the system is, and are again")
                more = False
            self._news.wait(SLICE_SECONDS if more else LOOK_SECONDS)

    def _round(self) -> bool:
        state = self._system.look(watched=len(self._audience) > 0)
        if state is not None:
            self._audience.publish(encode("state", state, NAMESPACE))
        if time.monotonic() - self._tried > LOOK_SECONDS:
            self._tried = time.monotonic()
            self._audience.try_again()
        return self._audience.tell_some()

    def close(self) -> None:
        """End the task: the node goes."""
        self._closing = True
        self._news.set()
        self._system.close()
