"""A websocket of its own, without Socket.IO: for clients such as command lines; it waits for nothing for ever.

wsproto knows the protocol. Bytes are read when somebody asks for a message, so who sends more than is asked for waits
by TCP's own means, and nothing piles up here.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from collections import deque
from typing import Any

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from app import handover
from app.errors import BadRequest
from app.streams import CONNECTION

# What one message may have; more than that and the websocket is closed (1009).
MESSAGE_BYTES = 65_536
# A client that takes nothing for so long is gone.
SEND_SECONDS = 4.0
# A client has so long to answer our last word by its own.
GOODBYE_SECONDS = 2.0
RECEIVE_BYTES = 4096
VERSION = "13"
# What a handshake consists of.
HANDSHAKE = (
    *("HOST", "CONNECTION", "UPGRADE"),
    *("SEC_WEBSOCKET_VERSION", "SEC_WEBSOCKET_KEY", "SEC_WEBSOCKET_PROTOCOL", "SEC_WEBSOCKET_EXTENSIONS"),
)


class Closed(Exception):
    """The websocket is closed, by whomever."""


class Websocket:
    """The server's end of a websocket, for one piece of hub code; `end` alone may be called by others.

    Raises: BadRequest for what is no handshake.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        _check_server(environ)
        self._socket = environ[CONNECTION]
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._messages: deque[str] = deque()
        self._parts: list[str] = []
        self._size = 0
        self._closing = False
        self._reason = (CloseReason.NORMAL_CLOSURE, "")
        _check(self._protocol, environ)
        self._environ = environ

    def accept(self) -> None:
        """Answer the handshake. No subprotocol and no extension is agreed on.

        Raises: Closed.
        """
        # Whatever comes of it, no other answer belongs on this connection.
        handover.mark(self._environ)
        self._send(AcceptConnection())

    def send(self, text: str) -> None:
        """Send a message.

        Raises: Closed.
        """
        if self._closing:
            raise Closed
        self._send(TextMessage(text))

    def receive(self, seconds: float) -> str:
        """The next message.

        Raises: Closed; TimeoutError where none has come whole in so many seconds.
        """
        deadline = time.monotonic() + seconds
        while not self._messages:
            if self._closing:
                raise Closed
            self._read(deadline)
        return self._messages.popleft()

    def end(self, reason: CloseReason = CloseReason.GOING_AWAY, text: str = "") -> None:
        """Have it closed by whom it belongs to, who wakes up if they wait for a message; anybody may ask for that."""
        self._reason = (reason, text)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Say that it ends, and let the client answer; the connection itself is the server's worker's to close."""
        if not self._closing:
            self._refuse(*self._reason)
        deadline = time.monotonic() + GOODBYE_SECONDS
        with contextlib.suppress(Closed, TimeoutError, OSError, RemoteProtocolError, LocalProtocolError):
            # Unread bytes would have the kernel throw our last word away.
            while self._receive(deadline):
                pass

    def _read(self, deadline: float) -> None:
        data = self._receive(deadline)
        if not data:
            self._closing = True
            # Not the client's end, where it was `end` that was called: then the reason is told.
            self._say(CloseConnection(*self._reason))
            raise Closed
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                self._take(event)
        except RemoteProtocolError as error:
            hint = error.event_hint
            code = hint.code if isinstance(hint, CloseConnection) else CloseReason.PROTOCOL_ERROR
            self._refuse(CloseReason(code))
            raise Closed from None

    def _take(self, event: Event) -> None:
        if self._closing:
            return
        if isinstance(event, TextMessage):
            self._part(event)
        elif isinstance(event, BytesMessage):
            self._refuse(CloseReason.UNSUPPORTED_DATA, "text is expected")
        elif isinstance(event, Ping):
            self._send(event.response())
        elif isinstance(event, CloseConnection):
            self._closing = True
            self._say(event.response())

    def _part(self, event: Message[str]) -> None:
        self._size += len(event.data.encode())
        if self._size > MESSAGE_BYTES:
            self._refuse(CloseReason.MESSAGE_TOO_BIG, f"a message has {MESSAGE_BYTES} bytes at most")
            return
        if event.data:
            self._parts.append(event.data)
        if event.message_finished:
            self._messages.append("".join(self._parts))
            self._parts, self._size = [], 0

    def _refuse(self, reason: CloseReason, text: str = "") -> None:
        self._closing = True
        self._say(CloseConnection(reason, text))

    def _say(self, event: Event) -> None:
        """A last word, to whom it may concern."""
        with contextlib.suppress(Closed, LocalProtocolError):
            self._send(event)

    def _send(self, event: Event) -> None:
        data = self._protocol.send(event)
        try:
            self._socket.settimeout(SEND_SECONDS)
            self._socket.sendall(data)
        except OSError:
            # Part of a message may be on its way, so nothing can follow it.
            self._closing = True
            raise Closed from None

    def _receive(self, deadline: float) -> bytes:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._socket.settimeout(seconds)
        try:
            data: bytes = self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise TimeoutError from None
            return b""
        return data


def _check_server(environ: dict[str, Any]) -> None:
    if handover.KEY not in environ or CONNECTION not in environ:
        raise BadRequest("This server takes no websockets.")


def _check(protocol: WSConnection, environ: dict[str, Any]) -> None:
    names = {name: name.replace("_", "-").lower() for name in HANDSHAKE if f"HTTP_{name}" in environ}
    headers = [(names[name].encode(), environ[f"HTTP_{name}"].encode("latin-1")) for name in names]
    try:
        protocol.initiate_upgrade_connection(headers, b"/")
        asked = next(protocol.events(), None)
    except (RemoteProtocolError, LocalProtocolError, h11.ProtocolError, UnicodeError) as error:
        raise BadRequest(f"Expected the handshake of a websocket (version {VERSION}): {error}.") from None
    if not isinstance(asked, Request):
        raise BadRequest("Expected the handshake of a websocket.")
