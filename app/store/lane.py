"""A lane: commands without the client's ceremony around each, for the output path, where microseconds count."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from redis.exceptions import ConnectionError as Lost
from redis.exceptions import NoScriptError, ResponseError

from app.stack import Permits, Signal, Stack

# Commands that go together; each of them is small.
BATCH = 64


class Calls(Protocol):
    """Whatever sends a command and gives its answer."""

    def call(self, *command: Any) -> Any:
        """Send one command and read its answer."""


class Lane:
    """Calls the server on connections that it keeps; answers are as the server sends them, in bytes and lists.

    A command whose connection is lost is sent once more on a new one: only commands that may be repeated belong here.
    """

    def __init__(self, client: Any, permits: Permits) -> None:
        # The permits are as many as the client's connections, which belong to the lane alone.
        self._pool, self._permits = client.connection_pool, permits
        self._idle: list[Any] = []

    def call(self, *command: Any) -> Any:
        """Send one command and read its answer.

        Raises: what redis raises.
        """
        answer = self.batch((command,))[0]
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def batch(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands together and read their answers; one that the server refuses has its error as its answer.

        Raises: what redis raises where the connection fails.
        """
        with self._permits:
            kept = self._kept()
            if kept is not None:
                try:
                    return self._batch(kept, commands)
                except Lost:
                    # The server has closed it meanwhile, and then the others too.
                    while (other := self._kept()) is not None:
                        self._drop(other)
            return self._batch(self._pool.get_connection(), commands)

    def _kept(self) -> Any:
        try:
            # In one step: on threads others take from here at the same time.
            return self._idle.pop()
        except IndexError:
            return None

    def _batch(self, connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        try:
            if len(commands) == 1:
                connection.send_command(*commands[0])
            else:
                packed = [part for command in commands for part in connection.pack_command(*command)]
                connection.send_packed_command([b"".join(packed)])
            answers = [_answer(connection) for _ in commands]
        except BaseException:
            # Its answers may still come: nobody else may get them.
            self._drop(connection)
            raise
        self._idle.append(connection)
        return answers

    def _drop(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


@dataclass(eq=False)
class _Waiting:
    """A call that waits for the batch before it."""

    command: tuple[Any, ...]
    signal: Signal
    leads: bool = False
    done: bool = False
    answer: Any = None


class SharedLane:
    """Small calls of many callers, sent together: who comes while a batch is on its way goes with the next one.

    So a single call is as quick as on a lane, and many at a time share what sending, waiting and reading cost. For
    commands that may be repeated.
    """

    def __init__(self, lane: Lane, stack: Stack) -> None:
        self._lane, self._stack = lane, stack
        self._lock = stack.lock()
        self._queue: list[_Waiting] = []
        self._led = False

    def call(self, *command: Any) -> Any:
        """Send one command and read its answer.

        Raises: what redis raises.
        """
        waiting = None
        with self._lock:
            if self._led:
                waiting = _Waiting(command, self._stack.signal())
                self._queue.append(waiting)
            self._led = True
        if waiting is None:
            return self._lead(command)
        while not (waiting.done or waiting.leads):
            waiting.signal.wait()
        if waiting.leads:
            return self._lead(command)
        if isinstance(waiting.answer, BaseException):
            raise waiting.answer
        return waiting.answer

    def _lead(self, command: tuple[Any, ...]) -> Any:
        with self._lock:
            others, self._queue = self._queue[:BATCH], self._queue[BATCH:]
        answers: list[Any] = []
        try:
            answers = self._lane.batch([command, *(other.command for other in others)])
        except BaseException as error:
            answers = [error] * (1 + len(others))
            raise
        finally:
            for other, answer in zip(others, answers[1:], strict=True):
                other.answer, other.done = answer, True
                other.signal.set()
            self._hand_over()
        if isinstance(answers[0], ResponseError):
            raise answers[0]
        return answers[0]

    def _hand_over(self) -> None:
        with self._lock:
            self._led = bool(self._queue)
            if self._queue:
                leader = self._queue.pop(0)
                leader.leads = True
                leader.signal.set()


class LaneScript:
    """A server-side script, called through a lane; loaded where the server does not know it."""

    def __init__(self, lane: Calls, text: str) -> None:
        self._lane, self._text = lane, text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def command(self, keys: list[str], args: list[Any]) -> tuple[Any, ...]:
        """What runs it where the server knows it."""
        return ("EVALSHA", self._digest, len(keys), *keys, *args)

    def __call__(self, keys: list[str], args: list[Any]) -> Any:
        """Run it.

        Raises: what redis raises.
        """
        try:
            return self._lane.call(*self.command(keys, args))
        except NoScriptError:
            return self._lane.call("EVAL", self._text, len(keys), *keys, *args)
