"""Frames: output that goes straight into a websocket whose way is free, past its queue and the task behind that.

A frame of a server is the same for everybody, so it is made once. Whatever is in the way - a queued packet, a full
socket, polling, compression, another library's websocket - has the packet go as all others do, and in order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

SHORT, MEDIUM = 125, 0xFFFF


def frame(*parts: bytes) -> bytes:
    """A text message, given in parts, in one unmasked frame (RFC 6455, section 5.2)."""
    size = sum(map(len, parts))
    if size <= SHORT:
        head = struct.pack("!BB", 0x81, size)
    elif size <= MEDIUM:
        head = struct.pack("!BBH", 0x81, 126, size)
    else:
        head = struct.pack("!BBQ", 0x81, 127, size)
    return b"".join((head, *parts))


def unmasked(data: bytes, mask: bytes, length: int | None = None, offset: int = 0) -> bytes:
    """A client's bytes without their mask (section 5.3); eventlet's own takes them one by one."""
    size = len(data) if length is None else length
    turned = (mask[offset % 4 :] + mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data[:size], "big") ^ int.from_bytes(turned, "big")).to_bytes(size, "big")


def watched_queue(base: type) -> type:
    """A kind of queue that knows whether its reader has dealt with all that it took, and waits."""

    class Watched(base):  # type: ignore[misc] # it is the async library's own
        idle = False

        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            self.idle = block and self.empty()
            try:
                return super().get(block, timeout)
            finally:
                self.idle = False

        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            self.idle = False
            super().put(item, block, timeout)

    return Watched


def known_websocket(base: type) -> type:
    """A kind of websocket application that leaves each websocket with the Engine.IO socket that it serves."""

    class Known(base):  # type: ignore[misc] # it is the async library's own
        def __init__(self, handler: Callable[[Any], Any], server: Any) -> None:
            def handle(websocket: Any) -> Any:
                handler.__self__.websocket = websocket  # type: ignore[attr-defined] # a socket's method
                websocket._apply_mask = unmasked
                return handler(websocket)

            super().__init__(handle, server)

    return Known


class Frames:
    """The straight way to an Engine.IO server's websockets; `spawn` runs what has to wait."""

    def __init__(self, engine: Any, spawn: Callable[..., object]) -> None:
        self._spawn = spawn
        parts = dict(engine._async)
        # Only greenlets take turns where they choose: between two looks here nobody else has written.
        if engine.async_mode == "eventlet":
            parts.update(queue=watched_queue(parts["queue"]), websocket=known_websocket(parts["websocket"]))
            engine._async = parts

    def send(self, socket: Any, data: bytes) -> bool:
        """Send a frame now, to an Engine.IO socket; False where it has to go the usual way. Never waits."""
        websocket = getattr(socket, "websocket", None)
        if websocket is None or not self._is_free(socket, websocket):
            return False
        try:
            sent = websocket.socket.fd.send(data)
        except OSError:
            # Full, or gone: whoever writes the usual way waits for room, or finds that out.
            return False
        if sent < len(data):
            # Taken before anybody else can: nothing may come between the two parts of a frame.
            websocket._sendlock.acquire()
            self._spawn(_finish, websocket, data[sent:])
        return True

    @staticmethod
    def _is_free(socket: Any, websocket: Any) -> bool:
        return (
            socket.queue.idle
            and socket.upgraded
            and not socket.closed
            and not websocket.extensions
            and websocket._sendlock.counter > 0
        )


def _finish(websocket: Any, rest: bytes) -> None:
    try:
        websocket.socket.sendall(rest)
    except OSError:
        # Its reader finds that out, and ends it.
        return
    finally:
        websocket._sendlock.release()
