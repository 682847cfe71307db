"""The supervisor's end of a job's control socket; app/child/control.py is the other, and says what is said."""

from __future__ import annotations

import json
import logging
import select
import socket
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

RECEIVE_BYTES = 65_536
# A job that says so much without an end of a line, or takes so little of what it is told, is not ours.
LONGEST_BYTES = 1_048_576


class Talk:
    """Never waits; `heard` gets each message that has the form of one, the job's mistakes are logged."""

    def __init__(self, connection: socket.socket, poll: select.poll, heard: Callable[[dict[str, Any]], object]) -> None:
        connection.setblocking(False)
        self._socket, self._poll, self._heard = connection, poll, heard
        self.fd = connection.fileno()
        self._open, self._strange = True, False
        # The job listens no more; what it said as its last may not be read yet.
        self._deaf = False
        self._out, self._rest = bytearray(), b""
        self._register()

    def say(self, **message: Any) -> None:
        """Tell the job something; nothing happens where it has closed its end."""
        if self._open and not self._deaf and len(self._out) < LONGEST_BYTES:
            self._out += json.dumps(message).encode() + b"\n"
            self._send()

    def attend(self, events: int) -> None:
        """The poll has these events."""
        if events & select.POLLOUT:
            self._send()
        if events & ~select.POLLOUT:
            self.hear()

    def hear(self) -> None:
        """Take what has come."""
        data = b""
        try:
            while self._open and len(self._rest) + len(data) <= LONGEST_BYTES:
                piece = self._socket.recv(RECEIVE_BYTES)
                self._open = bool(piece)
                data += piece
        except BlockingIOError:
            pass
        except OSError:
            self._open = False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._rest) > LONGEST_BYTES:
            self._open = False
        self._register()

    def _take(self, line: bytes) -> None:
        try:
            self._heard(json.loads(line))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            # Once: it may go on like that for ever.
            if not self._strange:
                self._strange = True
                logger.warning("a job said something strange: %s", type(error).__name__)

    def _send(self) -> None:
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            pass
        except OSError:
            self._deaf = True
            self._out.clear()
        self._register()

    def _register(self) -> None:
        if self._open:
            self._poll.register(self.fd, select.POLLIN | (select.POLLOUT if self._out else 0))
        elif self._socket.fileno() >= 0:
            self._poll.unregister(self.fd)
            self._socket.close()
