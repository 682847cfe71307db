"""A websocket (RFC 6455) with as little between the kernel and the clock as Python allows: the server is measured.

A library's client costs more than the path it would measure: threads, queues, one read for each header. This one takes
all that a read brings, notes the time, and only then looks for frames. It talks to the benchmark's own servers alone.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
import zlib
from collections.abc import Mapping

RECEIVE_BYTES = 1 << 18
SECONDS = 60.0
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FINAL, COMPRESSED, MASKED = 0x80, 0x40, 0x80
DEFLATE_TAIL = b"\x00\x00\xff\xff"


class Wire:
    """An open websocket; `arrived` is the time (monotonic nanoseconds) of the last read that brought something.

    With `deflate` it insists on compression; `inflated` are the bytes of messages that came compressed.
    """

    def __init__(
        self, port: int, path: str, headers: Mapping[str, str] | None = None, *, deflate: bool = False, buffer: int = 0
    ) -> None:
        self.arrived = self.inflated = 0
        self.socket = socket.socket(socket.AF_INET)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(SECONDS)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._inflate = zlib.decompressobj(-15) if deflate else None
        lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="]
        lines += ["Sec-WebSocket-Extensions: permessage-deflate"] if deflate else []
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._space = memoryview(bytearray(RECEIVE_BYTES))
        self._buffer = bytearray()
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._read()
        answer, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(f"no websocket: {bytes(answer)!r}")
        if deflate and b"\r\nSec-WebSocket-Extensions: permessage-deflate" not in answer:
            raise ConnectionError(f"compression is not taken up: {bytes(answer)!r}")
        # What came right behind the answer.
        self._early = self._messages()

    def _read(self) -> memoryview:
        size = self.socket.recv_into(self._space)
        self.arrived = time.monotonic_ns()
        if not size:
            raise ConnectionError("the server closed the connection")
        return self._space[:size]

    def receive(self) -> list[bytes]:
        """Read once, waiting for it; the messages that are complete now.

        Raises: ConnectionError where the server ends the connection, or sends what it should not.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        self._buffer += self._read()
        return self._messages()

    def first(self) -> bytes:
        """The next message, where it comes alone: while the connection is being opened."""
        messages = self.receive()
        while not messages:
            messages = self.receive()
        if len(messages) > 1:
            raise ConnectionError(f"unexpected messages: {messages[1:]}")
        return messages[0]

    def _messages(self) -> list[bytes]:
        buffer, messages, at = self._buffer, [], 0
        while len(buffer) >= at + 2:
            size = buffer[at + 1]
            begin = at + {126: 4, 127: 10}.get(size, 2)
            if size > 125:
                size = int.from_bytes(buffer[at + 2 : begin], "big")
            if len(buffer) < begin + size:
                break
            if message := self._frame(buffer[at], bytes(buffer[begin : begin + size])):
                messages.append(message)
            at = begin + size
        del buffer[:at]
        return messages

    def _frame(self, head: int, data: bytes) -> bytes:
        code = head & 0x0F
        if code == PING:
            self._send(PONG, data)
        elif code == CLOSE:
            # What came with it counts; the next read finds the end.
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RD)
        elif code != PONG and not head & FINAL:
            raise ConnectionError("a message in several frames, which none of these servers sends")
        elif code != PONG:
            if not head & COMPRESSED:
                return data
            assert self._inflate is not None
            message = self._inflate.decompress(data + DEFLATE_TAIL)
            self.inflated += len(message)
            return message
        return b""

    def send(self, text: bytes) -> None:
        """Send a text message."""
        self._send(TEXT, text)

    def _send(self, code: int, data: bytes) -> None:
        # The mask is for proxies between browsers and servers; zeros leave the data as it is.
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", FINAL | code, MASKED | size)
        elif size < 65_536:
            head = struct.pack("!BBH", FINAL | code, MASKED | 126, size)
        else:
            head = struct.pack("!BBQ", FINAL | code, MASKED | 127, size)
        self.socket.sendall(head + bytes(4) + data)

    def close(self) -> None:
        """End it as a browser does that leaves the page."""
        self.socket.close()

    def cut(self) -> None:
        """End it without a word, as a network does: what has not been read is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
