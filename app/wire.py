"""The way of output to a websocket: encoded once for all who watch, and never more of it queued than is told here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from engineio.packet import MESSAGE, Packet

from app.feed import Piece
from app.frames import Frames, frame

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Packets that may wait in a socket's own queue, which knows no limit; a packet is 256 KiB at most.
QUEUE_PACKETS = 4
_ENCODER = msgspec.json.Encoder()
# An Engine.IO message with a Socket.IO event of the default namespace that asks for no answer.
ACK = '2["ack",'
DEFAULT = "/"


class Encoded:
    """An event as it goes out, each form made when it is first needed."""

    def __init__(self, event: bytes, namespace: str = DEFAULT) -> None:
        self._event = event
        self._namespace = "" if namespace == DEFAULT else f"{namespace},"

    @functools.cached_property
    def frame(self) -> bytes:
        """For a websocket: an Engine.IO message (4) that is a Socket.IO event (2)."""
        return frame(f"42{self._namespace}".encode(), self._event)

    @functools.cached_property
    def packet(self) -> Packet:
        """For the usual way."""
        return Packet(MESSAGE, f"2{self._namespace}{self._event.decode()}")


class Wire:
    """Sends events past the layers that would encode each again for everybody who gets it.

    What goes out is what they would send: a Socket.IO event in an Engine.IO message. One for all namespaces.
    """

    def __init__(self, server: Any, spawn: Callable[..., object]) -> None:
        self._engine, self._manager = server.eio, server.manager
        self._frames = Frames(self._engine, spawn)

    def address(self, sid: str) -> str:
        """The Engine.IO id of a Socket.IO client."""
        address: str = self._manager.eio_sid_from_sid(sid, "/")
        return address

    def output(self, address: str, run_id: str, piece: Piece) -> None:
        """Send a piece of a run's output."""
        if piece.encoded is None:
            piece.encoded = Encoded(_event(run_id, piece))
        self.send(address, piece.encoded)

    def send(self, address: str, event: Encoded) -> None:
        """Send an event."""
        socket = self._engine.sockets.get(address)
        if socket is None or not self._frames.send(socket, event.frame):
            self._engine.send_packet(address, event.packet)

    def has_room(self, address: str, most: int = QUEUE_PACKETS) -> bool:
        """May more be sent now: do less than `most` packets wait? Also where the socket is gone: sending finds it."""
        socket = self._engine.sockets.get(address)
        return socket is None or socket.queue.qsize() < most

    def is_greeted(self, sid: str, namespace: str) -> bool:
        """Has a client been sent the answer to its connection, before which nothing else may come?"""
        greeted: bool = self._manager.is_connected(sid, namespace)
        return greeted

    def on_ack(self, acknowledge: Callable[[str, Any], object]) -> None:
        """Have acknowledgements answered by `acknowledge(sid, message)`, past the layers that begin a task for each.

        They come ten times a second from each page that watches a flood.
        """
        others = self._engine.handlers["message"]

        def take(address: str, data: Any) -> None:
            if isinstance(data, str) and data.startswith(ACK):
                sid, message = self._manager.sid_from_eio_sid(address, "/"), _only(data)
                if sid and message is not None:
                    acknowledge(sid, message)
                    return
            # Also one with which something is the matter: that is found there.
            others(address, data)

        self._engine.handlers["message"] = take


def _only(data: str) -> Any:
    """What an event with one value has, else None."""
    try:
        event = msgspec.json.decode(data[1:])
    except (ValueError, UnicodeError):
        return None
    return event[1] if len(event) == 2 else None  # noqa: PLR2004 - its name, and the value


def encode(name: str, message: object, namespace: str) -> Encoded:
    """An event for a namespace, whoever gets it."""
    return Encoded(_ENCODER.encode((name, message)), namespace)


def _event(run_id: str, piece: Piece) -> bytes:
    message = {"run": run_id, "data": piece.text, "start": piece.start, "position": piece.position}
    if piece.omitted:
        message["omitted"] = piece.omitted
        message["reason"] = piece.reason
    return _ENCODER.encode(("output", message))


def uncompressed(wsgi: WSGIApplication) -> WSGIApplication:
    """`wsgi`, whose websockets are not compressed: browsers offer it always, and the libraries then do it always.

    Deflate takes 15 to 50 ns a byte at zlib's usual level, several times what all else takes on the way together.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return wsgi(environ, start_response)

    return answer
