"""A job's end of the control socket: one JSON object a line, to its supervisor and from it; the standard library alone.

To the job: `start` first of all, `ask` (somebody pressed Stop), and the answers `token`, `input` and `channel`. From
the job: `begun`, `token?`, `progress`, `input?` with a prompt, `channel` with a value to set, and `ended`.
docs/adr/0018 has the reasons.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

READ_BYTES = 65_536
POLL_SECONDS = 1.0


class Refused(Exception):
    """The supervisor does not give or do what was asked; `kind` is the error's name in app.errors."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Control:
    """Speaks with the supervisor; any thread of the job may call it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._rest = b""
        self._reading, self._writing, self._asking = threading.Lock(), threading.Lock(), threading.Lock()
        self._answers: list[dict[str, Any]] = []
        self._over = False
        self.asked = False
        # Called by whichever thread reads that Stop was pressed.
        self.on_ask: Callable[[], object] = lambda: None

    def fileno(self) -> int:
        """For an event loop that waits for news."""
        return self._socket.fileno()

    def say(self, what: str, **values: Any) -> None:
        """Tell the supervisor something; nobody listens where it is gone."""
        line = json.dumps({"say": what, **values}).encode() + b"\n"
        with self._writing:
            try:
                self._socket.sendall(line)
            except OSError:
                self._over = True

    def wait_for(self, what: str) -> dict[str, Any]:
        """The next message of this kind: `start`, or the answer to what was asked.

        Raises: EOFError where the supervisor is gone.
        """
        while True:
            for message in list(self._answers):
                if message["do"] == what:
                    self._answers.remove(message)
                    return message
            if self._over:
                raise EOFError("the run's supervisor is gone")
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            poll.poll(POLL_SECONDS * 1000)
            self.look()

    def look(self) -> None:
        """Take what has come, if anything; never waits."""
        if not self._reading.acquire(blocking=False):
            return
        try:
            self._take()
        finally:
            self._reading.release()

    def _take(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._over = self._over or not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["do"] == "ask":
                self.asked = True
                self.on_ask()
            else:
                self._answers.append(message)

    def running(self) -> bool:
        """May the job go on? False once Stop was pressed."""
        if not self.asked:
            self.look()
        return not self.asked

    def token(self) -> str:
        """An access token that is good now.

        Raises: Refused; EOFError.
        """
        with self._asking:
            self.say("token?")
            answer = self.wait_for("token")
        if "token" not in answer:
            raise Refused(answer["error"], answer["text"])
        token: str = answer["token"]
        return token

    def channel(self, name: str, value: str) -> None:
        """Set a channel to a value (JSON); comes back when that is done.

        Raises: Refused; EOFError.
        """
        with self._asking:
            self.say("channel", channel=name, value=value)
            answer = self.wait_for("channel")
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])

    def input(self, prompt: str) -> str:
        """What is typed on the page, without the line's end.

        Raises: EOFError at the end of the input.
        """
        with self._asking:
            self.say("input?", prompt=prompt)
            line = self.wait_for("input")["line"]
        if line is None:
            raise EOFError
        text: str = line
        return text.removesuffix("\n")
