"""Connected sockets, whatever their namespace: whose they are, how many a user has, and that a logout ends them."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, request
from flask_socketio import ConnectionRefusedError as Refused
from flask_socketio import SocketIO

from app import audit, auth, rights, visitors
from app.errors import LoginRequired, RealtimeError, StoreUnavailable
from app.health import Health
from app.model import User

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 2.0
DEFAULT = "/"


@dataclass(frozen=True, slots=True)
class Socket:
    """A page in a namespace; its namespaces share one connection, whose Engine.IO id is `address`."""

    sid: str
    namespace: str
    address: str
    session: str
    user: User


class Sockets:
    """The sockets of this node."""

    def __init__(self, app: Flask, socketio: SocketIO) -> None:
        self._server: Any = socketio.server
        self._most: int = app.extensions["settings"].user_sockets
        self._health: Health = app.extensions["health"]
        self._guard = app.extensions["stack"].lock()
        self._sockets: dict[str, Socket] = {}
        self._open: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def enter(self) -> Socket:
        """Let in who connects; to be called by the namespace's `connect`.

        Raises: Refused.
        """
        namespace: str = request.namespace  # type: ignore[attr-defined] # Flask-SocketIO's
        door = door_of(namespace, "connect")
        visitors.arrive(request.environ, door)
        try:
            user = rights.require(auth.current_user(), rights.DOORS[door])
        except LoginRequired:
            raise Refused("login_required") from None
        except StoreUnavailable as error:
            # Who connects while the watch over the store has not seen it yet is told the same.
            raise Refused("store_unavailable", {**self._health.storage.as_dict(), "reason": str(error)}) from None
        address: str = self._server.manager.eio_sid_from_sid(sid_of(), namespace)
        with self._guard:
            taken = self._open[user.id]
            full = address not in taken and len(taken) >= self._most
            if not full:
                taken[address] += 1
                socket = Socket(sid_of(), namespace, address, auth.session_key(), user)
                self._sockets[socket.sid] = socket
        if full:
            audit.denied("too_many", user.id)
            raise Refused("too_many", {"message": f"You have {self._most} pages open already: close some."})
        connection = self._server.eio.sockets.get(address)
        if connection is None or connection.closed:
            # It went while the store was asked, and nobody would be told of that.
            self.leave(socket.sid)
            raise Refused("gone")
        return socket

    def leave(self, sid: str) -> None:
        """Forget who goes; to be called by the namespace's `disconnect`.

        That is an event of the server's own: Flask-SocketIO leaves out those of a client whose connection is gone.
        """
        with self._guard:
            socket = self._sockets.pop(sid, None)
            if socket is None:
                return
            taken = self._open[socket.user.id]
            taken[socket.address] -= 1
            if not taken[socket.address]:
                del taken[socket.address]
            if not taken:
                del self._open[socket.user.id]

    def knows(self, sid: str) -> bool:
        """Whether it has entered, and has not gone."""
        return sid in self._sockets

    def end_session(self, session: str) -> None:
        """Disconnect the sockets of a session that has ended."""
        for socket in list(self._sockets.values()):
            if socket.session == session:
                self._server.disconnect(socket.sid, socket.namespace)

    def sweep(self, alive: Callable[[set[str]], set[str]], sleep: Callable[[float], object]) -> None:
        """For ever: disconnect the sockets of sessions that ended elsewhere or by time; `alive` tells which live."""
        while True:
            sleep(SWEEP_SECONDS)
            sessions = {socket.session for socket in list(self._sockets.values())}
            try:
                for session in sessions - alive(sessions) if sessions else ():
                    self.end_session(session)
            except RealtimeError:
                continue
            except Exception:
                logger.exception("the sessions of open sockets cannot be checked")


def door_of(namespace: str, event: str) -> str:
    """An event's name in the table of rights: `socket:EVENT`, or `socket:NAMESPACE:EVENT` outside the default one."""
    return f"socket:{event}" if namespace == DEFAULT else f"socket:{namespace}:{event}"


def sid_of() -> str:
    """The Socket.IO id of whoever sends the event that is handled."""
    sid: str = request.sid  # type: ignore[attr-defined] # Flask-SocketIO's
    return sid
