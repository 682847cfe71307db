"""The async stack: what hub code waits for comes, whatever was closed before."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import pytest
import redis.exceptions

from app.config import load_settings
from app.stack import Stack
from app.store.connection import connect
from tests.waiting import took


def test_a_number_that_was_closed_under_somebody_is_good_again(stack: Stack) -> None:
    """Who waits on a descriptor that is closed does not hold up the next one of the same number."""
    reader, writer = os.pipe()

    def wait() -> None:
        # As sockets do, it may hear that it was closed.
        with contextlib.suppress(OSError):
            stack.wait_readable(reader)

    stack.spawn(wait)
    stack.sleep(0.05)
    os.close(reader)
    # Whatever lower number is free is taken: so the next pipe has this one.
    taken = [os.dup(writer)]
    while taken[-1] != reader:
        taken.append(os.dup(writer))
    os.close(taken.pop())
    assert [stack.call_in_thread(lambda: 42) for _ in range(3)] == [42] * 3
    for each in (*taken, writer):
        os.close(each)


def ask(stack: Stack, valkey_url: str, seconds: float, *, held_up: float) -> Any:
    """What the store answers after so many seconds, of 0.3 that it has, while the hub cannot turn for some time."""
    client = connect(load_settings(None, redis_url=valkey_url), stack, timeout=0.3)
    answers: list[Any] = []

    def work() -> None:
        try:
            answers.append(client.blpop("nothing", seconds))
        except redis.exceptions.TimeoutError as error:
            answers.append(error)

    stack.spawn(work)
    stack.sleep(0.05)
    # Woken by what has come, not by a timer: timers are next.
    stack.call_in_thread(lambda: None)
    time.sleep(held_up)
    while not answers:
        stack.sleep(0.01)
    return answers[0]


def test_an_answer_that_came_while_nothing_could_turn_has_come(stack: Stack, valkey_url: str) -> None:
    """The hub is held up for longer than a command may take: its answer lies there, and the store is not away."""
    assert ask(stack, valkey_url, 0.1, held_up=0.8) is None


@pytest.mark.parametrize("held_up", [0.0, 0.8])
def test_a_store_that_says_nothing_has_no_more_time(stack: Stack, valkey_url: str, held_up: float) -> None:
    """Whether the hub was held up or not, it is given up soon."""
    seconds, answer = took(lambda: ask(stack, valkey_url, 60, held_up=held_up))
    assert isinstance(answer, redis.exceptions.TimeoutError)
    assert seconds < 20
