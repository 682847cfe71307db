"""A job's end of the control socket: one JSON object a line, to its supervisor and from it; the standard library alone.

To the job: `start` first of all, `ask` (somebody pressed Stop), and the answers `token`, `input` and `channel`. From
the job: `begun`, `token?`, `progress`, `input?` with a prompt, `channel` with a value to set and a number that its
answer has too, and `ended`.
docs/adr/0018 has the reasons.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

READ_BYTES = 65_536
POLL_SECONDS = 1.0
ELSEWHERE = "A process that the job has started cannot ask for this: ask in the job's own one, and hand the answer on."


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
        # Wakes whoever waits for an answer that another thread has taken from the socket; made for the first question.
        self._answered = -1
        self._sets = 0
        self._over = False
        # Processes that the job forks have the same socket: their answers would go to whoever reads first.
        self._owner = os.getpid()
        # One byte that they share: Stop was pressed.
        self._pressed = mmap.mmap(-1, 1)
        self.asked = False
        # Called by whichever thread reads that Stop was pressed.
        self.on_ask: Callable[[], object] = lambda: None

    def fileno(self) -> int:
        """For an event loop that waits for news."""
        return self._socket.fileno()

    @property
    def forked(self) -> bool:
        """Is this a process that the job has forked?"""
        return os.getpid() != self._owner

    def say(self, what: str, **values: Any) -> None:
        """Tell the supervisor something; nobody listens where it is gone.

        Of a process that the job has forked nothing counts but its progress.
        """
        if self.forked and what != "progress":
            return
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
        if self._answered < 0 and what != "start":
            self._answered = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        while True:
            for message in list(self._answers):
                if message["do"] == what:
                    self._answers.remove(message)
                    return message
            if self._over:
                raise EOFError("the run's supervisor is gone")
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            if self._answered >= 0:
                poll.register(self._answered, select.POLLIN)
            ready = [fd for fd, _ in poll.poll(POLL_SECONDS * 1000)]
            if self._answered in ready:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._answered)
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
                self._pressed[0] = 1
                self.on_ask()
            else:
                self._answers.append(message)
                if self._answered >= 0:
                    os.eventfd_write(self._answered, 1)

    def running(self) -> bool:
        """May the job go on? False once Stop was pressed."""
        if not self.asked and self.forked:
            self.asked = bool(self._pressed[0]) or self._is_pressed()
        elif not self.asked:
            self.look()
        return not self.asked

    def _is_pressed(self) -> bool:
        """In a process that the job has forked: whether the job's own will read that; nothing is taken away from it."""
        try:
            return b'{"do": "ask"}\n' in self._socket.recv(READ_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False

    def _refuse_elsewhere(self) -> None:
        if self.forked:
            raise Refused("RealtimeError", ELSEWHERE)

    def token(self) -> str:
        """An access token that is good now.

        Raises: Refused; EOFError.
        """
        self._refuse_elsewhere()
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
        self._refuse_elsewhere()
        with self._asking:
            self._sets += 1
            self.say("channel", channel=name, value=value, number=self._sets)
            answer = self.wait_for("channel")
            while answer["number"] != self._sets:
                # That of one that was interrupted while it waited, such as by Stop.
                answer = self.wait_for("channel")
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])

    def input(self, prompt: str) -> str:
        """What is typed on the page, without the line's end.

        Raises: EOFError at the end of the input; Refused.
        """
        self._refuse_elsewhere()
        with self._asking:
            self.say("input?", prompt=prompt)
            line = self.wait_for("input")["line"]
        if line is None:
            raise EOFError
        text: str = line
        return text.removesuffix("\n")
