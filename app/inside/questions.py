"""What typed code reads: each line is asked of the page, over the control socket to the run's supervisor."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
from typing import Any

READ_BYTES = 65_536
LONGEST_PROMPT = 1000


class Control:
    """One JSON object a line, as app/child/control.py has it, from any thread of this process; a fork has none."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._rest = connection, b""
        self._owner = os.getpid()
        self._writing, self._asking = threading.Lock(), threading.Lock()
        self._messages: list[dict[str, Any]] = []

    def say(self, what: str, **values: Any) -> None:
        """Tell the supervisor; a process that was forked, or whose supervisor is gone, tells nobody."""
        if os.getpid() != self._owner:
            return
        with self._writing:
            try:
                self._socket.sendall(json.dumps({"say": what, **values}).encode() + b"\n")
            except OSError:
                return

    def wait_for(self, what: str) -> dict[str, Any]:
        """The next message of this kind; others that have no taker are passed over.

        Raises: EOFError where the supervisor is gone.
        """
        while True:
            while self._messages:
                message = self._messages.pop(0)
                if message.get("do") == what:
                    return message
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise EOFError
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._messages += map(json.loads, lines)

    def ask(self, prompt: str) -> str:
        """The line that is typed on the page, with its end; empty at the end of the input."""
        if os.getpid() != self._owner:
            return ""
        with self._asking:
            self.say("input?", prompt=prompt[:LONGEST_PROMPT])
            try:
                line = self.wait_for("input")["line"]
            except EOFError:
                line = None
        return "" if line is None else str(line)


class TypedInput(io.TextIOBase):
    """`sys.stdin`: a line at a time, each asked for when it is wanted, and shown in the output as a terminal would."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control, self._rest = control, ""

    def readable(self) -> bool:
        """As IOBase."""
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """As TextIOBase; empty at the end of the input."""
        if not self._rest:
            self._rest = self.typed("")
        length = len(self._rest) if size is None or size < 0 else size
        line, self._rest = self._rest[:length], self._rest[length:]
        return line

    def read(self, size: int | None = -1, /) -> str:
        """As TextIOBase: all lines until the end of the input, or `size` characters."""
        found = ""
        while size is None or size < 0 or len(found) < size:
            line = self.readline(-1 if size is None or size < 0 else size - len(found))
            if not line:
                break
            found += line
        return found

    def typed(self, prompt: str, *, shown: bool = True) -> str:
        """Ask for a line, with its end; it appears in the output unless it is secret."""
        sys.stdout.flush()
        line = self._control.ask(prompt)
        sys.stdout.write(line if shown or not line else "\n")
        sys.stdout.flush()
        return line

    def input(self, prompt: object = "", /) -> str:
        """The built-in `input`.

        Raises: EOFError at the end of the input.
        """
        text = str(prompt)
        sys.stdout.write(text)
        return _without_end(self.typed(text))

    def getpass(self, prompt: str = "Password: ", stream: object = None) -> str:
        """As getpass.getpass: what is typed is not shown in the output."""
        sys.stdout.write(prompt)
        return _without_end(self.typed(prompt, shown=False))


def _without_end(line: str) -> str:
    if not line:
        raise EOFError("EOF when reading a line")
    return line.removesuffix("\n")
