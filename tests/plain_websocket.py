"""What tests of plain websockets share: how the server refuses one, and how it closes one."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from websocket import ABNF, WebSocket, WebSocketBadStatusException

VIEW = "Hello from view!"
Open = Callable[..., WebSocket]


def refusal(connect: Open, **options: Any) -> tuple[int, bytes]:
    """The status by which the server refuses what `connect` asks for, and its body."""
    with pytest.raises(WebSocketBadStatusException) as told:
        connect(**options)
    return told.value.status_code, told.value.resp_body or b""


def close_code(connection: WebSocket) -> int | None:
    """By which the server closes; None where it only ends the connection. Whatever comes before is passed over."""
    with contextlib.suppress(OSError):
        while True:
            code, data = connection.recv_data()
            if code == ABNF.OPCODE_CLOSE:
                number: int = struct.unpack("!H", data[:2])[0]
                return number
    return None
