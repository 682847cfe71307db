"""The shared lane: calls that go together keep their answers, their errors and their order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ResponseError

from app.config import load_settings
from app.stack import Stack, ThreadingStack
from app.store.connection import connect
from app.store.lane import BATCH, Lane, SharedLane


def _lane(url: str, stack: Stack | None = None) -> SharedLane:
    stack = stack or ThreadingStack()
    client = connect(load_settings(None, redis_url=url), stack, connections=2)
    return SharedLane(Lane(client, stack.permits(2)), stack)


def _at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """The answers, or errors, of so many calls by threads that begin together."""
    answers: list[Any] = [None] * count
    begin = threading.Barrier(count)

    def work(number: int) -> None:
        begin.wait(10)
        try:
            answers[number] = call(number)
        except Exception as error:  # noqa: BLE001 - an error is an answer here
            answers[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return answers


def test_each_caller_gets_its_own_answer(valkey_url: str) -> None:
    """More calls at one time than one batch holds, again and again."""
    lane = _lane(valkey_url)
    for _ in range(5):
        assert _at_once(BATCH + 30, lambda number: lane.call("ECHO", str(number))) == [
            str(number).encode() for number in range(BATCH + 30)
        ]


def test_an_error_is_its_callers_alone(valkey_url: str, redis_client: redis.Redis) -> None:
    """A command that the server refuses harms none that went with it."""
    redis_client.set("text", "x")
    lane = _lane(valkey_url)
    answers = _at_once(40, lambda number: lane.call(*(("INCR", "text") if number % 4 == 0 else ("ECHO", str(number)))))
    for number, answer in enumerate(answers):
        if number % 4 == 0:
            assert isinstance(answer, ResponseError)
        else:
            assert answer == str(number).encode()


def test_a_lost_connection_is_made_again(valkey_url: str, redis_client: redis.Redis) -> None:
    """The server closes every connection between two batches, and nobody notices."""
    lane = _lane(valkey_url)
    for _ in range(3):
        assert _at_once(20, lambda number: lane.call("ECHO", str(number))) == [str(n).encode() for n in range(20)]
        redis_client.client_kill_filter(_type="normal", skipme=True)


def test_without_a_store_everybody_is_told_and_later_served(valkey_url: str) -> None:
    """An address where nobody listens: each call gets the error, none waits for ever, and the lane goes on."""
    away = _lane("unix:///nowhere/v.sock")
    assert all(isinstance(answer, Lost) for answer in _at_once(20, lambda _number: away.call("PING")))
    with pytest.raises(Lost):
        away.call("PING")
    assert _lane(valkey_url).call("PING") == b"PONG"
