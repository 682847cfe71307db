"""Calls for runs that happen elsewhere, and what is typed for them: nothing is lost and nothing comes twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from app.config import load_settings
from app.errors import NotWaiting, StoreUnavailable, TooMany
from app.model import Status
from app.stack import ThreadingStack
from app.store.calls import CHANNEL, MOST_LINES, Calls
from app.store.connection import connect
from app.store.runs import Runs
from tests.integration.queue_fixture import queued, take_next
from tests.killable import Valkey
from tests.proxy import Proxy
from tests.waiting import wait_until


def calls_in(url: str) -> Calls:
    """Calls through the store there."""
    return Calls(connect(load_settings(None, redis_url=url), ThreadingStack()))


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[Proxy]:
    """A network before the store."""
    made = Proxy(str(valkey.socket))
    yield made
    made.close()


def test_whoever_misses_calls_is_told_so(valkey_url: str, redis_client: redis.Redis) -> None:
    """The server closes the listener's connection, and it could be made again at once: there may have been any call."""
    heard: list[tuple[str, str]] = []
    calls = calls_in(valkey_url)
    threading.Thread(target=calls.listen, args=(lambda *call: heard.append(call),), daemon=True).start()
    for number in range(1, 4):
        wait_until(lambda: heard.count(("", "")) == number)  # noqa: B023 - waited for right here
        redis_client.publish(CHANNEL, f"run-{number} kill")
        wait_until(lambda: (f"run-{number}", "kill") in heard)  # noqa: B023 - the same
        redis_client.client_kill_filter(_type="pubsub")
    wait_until(lambda: heard.count(("", "")) == 4)


def test_a_listener_outlives_whoever_hears(valkey_url: str, redis_client: redis.Redis) -> None:
    """What it calls may fail, in a way that nobody expected: the next call is heard."""
    heard: list[str] = []

    def hear(run_id: str, _what: str) -> None:
        heard.append(run_id)
        if run_id == "bad":
            raise ValueError(run_id)

    threading.Thread(target=calls_in(valkey_url).listen, args=(hear,), daemon=True).start()
    wait_until(lambda: heard == [""])
    redis_client.publish(CHANNEL, "bad")
    wait_until(lambda: heard == ["", "bad", ""])
    redis_client.publish(CHANNEL, "good stop")
    wait_until(lambda: heard[-1] == "good")


def test_typed_lines_come_once_and_in_order_though_answers_are_lost(valkey: Valkey, proxy: Proxy) -> None:
    """Each seventh answer of the store is lost after it has done what was asked, and it is asked again."""
    calls = calls_in(proxy.redis_url)
    given = [f"line {number}\n" for number in range(40)]
    taken: list[Any] = []
    proxy.drop_every = 7

    def take() -> None:
        try:
            found = calls.take_input("run")
        except StoreUnavailable:
            return
        if found is not None:
            taken.extend(found)

    for line in given:
        calls.give_input("run", line)
        take()
    wait_until(lambda: take() or len(taken) >= len(given))  # type: ignore[func-returns-value]
    proxy.drop_every = 0
    assert proxy.dropped > 5
    assert taken == given
    assert calls.take_input("run") is None
    with valkey.client() as client:
        assert not client.exists("run:run:typed")


def test_what_was_typed_goes_with_its_run(runs: Runs, valkey_url: str, redis_client: redis.Redis) -> None:
    """It may be a password: stopped in the queue or lost, a run leaves nothing of it, and gets nothing more."""
    calls = calls_in(valkey_url)
    for status in (Status.STOPPED, Status.LOST):
        run = queued(runs)
        if status is Status.LOST:
            assert take_next(runs) == run.id
        calls.give_input(run.id, "sesame\n")
        assert redis_client.llen(f"run:{run.id}:typed") == 1
        assert runs.finish(run.id, None, status)
        with pytest.raises(NotWaiting):
            calls.give_input(run.id, "late\n")
        assert not redis_client.exists(f"run:{run.id}:typed")


def test_what_was_typed_is_bounded(valkey_url: str) -> None:
    """A hundred lines may wait, the end of input among them."""
    calls = calls_in(valkey_url)
    for number in range(MOST_LINES - 1):
        calls.give_input("run", f"{number}\n")
    calls.give_input("run", None)
    with pytest.raises(TooMany, match="has not read"):
        calls.give_input("run", "one too many\n")
    assert [calls.take_input("run") for _ in range(MOST_LINES + 1)] == [
        *((f"{number}\n",) for number in range(MOST_LINES - 1)),
        (None,),
        None,
    ]
