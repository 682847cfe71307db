"""A small Socket.IO client over one websocket that handles events in the order in which they come.

The library's own client hands each event to a thread of its own, and so may show them in another order.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import websocket


class ConnectionRefused(Exception):
    """The server refused the connection; the text is its message."""


class SocketClient:
    """A client connected to a namespace; `handle(event, message)` is called in a thread of its own, in order.

    What it gives is the acknowledgement where the server asks for one.

    `buffer`: the size of its receive buffer in bytes, where it should not be the usual one. Events of namespaces that
    it joins beside are `NAMESPACE event`.
    """

    def __init__(
        self,
        url: str,
        cookie: str,
        handle: Callable[[str, Any], object],
        origin: str | None = None,
        *,
        buffer: int | None = None,
        namespace: str = "/",
    ) -> None:
        self._handle, self._namespace = handle, namespace
        self._prefix = "" if namespace == "/" else f"{namespace},"
        self._joined: dict[str, str] = {}
        self._numbers = itertools.count()
        self._answers: dict[int, Any] = {}
        self._changed = threading.Condition()
        address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        narrow = [(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)] if buffer else []
        self._socket = websocket.create_connection(
            address, cookie=cookie, origin=origin or url, timeout=20, skip_utf8_validation=True, sockopt=narrow
        )
        self._socket.recv()
        self._socket.send(f"40{self._prefix}")
        answer = self._packet()
        if not answer.startswith("40"):
            self._socket.close()
            raise ConnectionRefused(answer)
        self.sid: str = json.loads(answer[answer.index("{") :])["sid"]
        self.connected = True
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def emit(self, event: str, *message: Any) -> None:
        """Send an event."""
        self._socket.send(f"42{self._prefix}" + json.dumps([event, *message]))

    def call(self, event: str, *message: Any, timeout: float = 20) -> Any:
        """Send an event and wait for its acknowledgement."""
        number = next(self._numbers)
        self._socket.send(f"42{self._prefix}{number}" + json.dumps([event, *message]))
        with self._changed:
            assert self._changed.wait_for(lambda: number in self._answers or not self.connected, timeout), event
            return self._answers.pop(number)

    def join(self, namespace: str) -> None:
        """Connect to one more namespace, on the same connection.

        Raises: ConnectionRefused.
        """
        self._socket.send(f"40{namespace},")
        with self._changed:
            assert self._changed.wait_for(lambda: namespace in self._joined or not self.connected, 20), namespace
            answer = self._joined.pop(namespace)
        if not answer.startswith("40"):
            raise ConnectionRefused(answer)

    def disconnect(self) -> None:
        """Close the connection."""
        self.connected = False
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._socket.send("41")
        self._socket.close(timeout=1)
        self._thread.join(10)

    def cut(self) -> None:
        """Lose the connection without a word."""
        connection = self._socket.sock
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _packet(self) -> str:
        packet = self._socket.recv()
        return packet if isinstance(packet, str) else packet.decode()

    def _read(self) -> None:
        try:
            while True:
                packet = self._packet()
                if packet == "2":
                    self._socket.send("3")
                elif packet.startswith("42"):
                    self._heard(packet)
                elif packet.startswith(("40/", "44/")):
                    with self._changed:
                        self._joined[self._namespace_of(packet)] = packet
                        self._changed.notify_all()
                elif packet.startswith("43"):
                    bracket = packet.index("[")
                    number = packet[2:bracket].rpartition(",")[2]
                    self._answered(int(number), json.loads(packet[bracket:]))
                elif not packet or (packet.startswith("41") and self._namespace_of(packet) == self._namespace):
                    break
        except (OSError, websocket.WebSocketException):
            pass
        finally:
            with self._changed:
                self.connected = False
                self._changed.notify_all()

    def _heard(self, packet: str) -> None:
        bracket = packet.index("[")
        event, *message = json.loads(packet[bracket:])
        namespace = self._namespace_of(packet)
        answer = self._handle(
            event if namespace == self._namespace else f"{namespace} {event}", message[0] if message else None
        )
        if packet[2:bracket].rpartition(",")[2]:
            self._socket.send(f"43{packet[2:bracket]}{json.dumps([answer])}")

    @staticmethod
    def _namespace_of(packet: str) -> str:
        return packet[2:].partition(",")[0] if packet[2:3] == "/" else "/"

    def _answered(self, number: int, message: list[Any]) -> None:
        with self._changed:
            self._answers[number] = message[0] if message else None
            self._changed.notify_all()
