"""The watch over the store: what it sees, whom it tells, and what a shutdown records."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.exceptions

from app.config import load_settings
from app.errors import StoreUnavailable
from app.health import Health, Storage
from app.stack import ThreadingStack
from app.store.connection import PROBE_SECONDS, Breaker, connect, store_errors
from app.store.pulse import Pulse
from tests.api import Api, make_token
from tests.killable import Valkey
from tests.serving import Server
from tests.waiting import wait_until


def _health(url: str, breaker: Breaker) -> Health:
    settings, stack = load_settings(None, redis_url=url), ThreadingStack()
    return Health(stack, Pulse(connect(settings, stack, timeout=0.5), "node", breaker).beat)


def test_each_change_is_told_once_and_keeps_its_beginning(valkey: Valkey) -> None:
    """Well, full, gone, loading and well again: one call for each, and `since` is when the trouble began."""
    health, told = _health(f"unix://{valkey.socket}", Breaker(1)), list[Storage]()

    def fails(_storage: Storage) -> None:
        raise ValueError("one of those that listen")

    health.listen(fails)
    health.listen(told.append)
    health.look()
    assert told == []
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
    health.look()
    health.look()
    with pytest.raises(StoreUnavailable, match="full"):
        health.check()
    began = told[0].since
    valkey.kill(settled=False)
    health.look()
    valkey.start()
    health.look()
    assert [(each.available, each.since) for each in told] == [(False, began), (False, began), (True, None)]
    assert "full" in told[0].reason
    assert "reached" in told[1].reason
    health.check()


def test_a_writer_that_waits_and_an_archive_in_trouble_are_told(valkey: Valkey) -> None:
    """Output that cannot be stored is a reason to refuse Start; an archive that cannot be written is only said."""
    health = _health(f"unix://{valkey.socket}", Breaker(1))
    writers, archive = ["The storage is full."], ["The archive cannot be written."]
    health._writers, health._archive = lambda: writers[0], lambda: archive[0]
    health.look()
    assert (health.storage.available, health.storage.reason) == (False, "The storage is full.")
    writers[0] = ""
    health.look()
    assert (health.storage.available, health.storage.reason) == (True, "The archive cannot be written.")
    health.check()
    archive[0] = ""
    health.look()
    assert health.storage == Storage()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (redis.exceptions.OutOfMemoryError("command not allowed"), "full"),
        (redis.exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), "disk"),
        (redis.exceptions.ResponseError("OOM command not allowed"), "full"),
        (redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "loading"),
        (redis.exceptions.ResponseError("BUSY Redis is busy running a script"), "busy"),
        (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), "copy"),
        (redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "copies"),
        (redis.exceptions.ClusterDownError("The cluster is down"), "missing"),
        (redis.exceptions.MasterDownError("Link with MASTER is down"), "main server"),
        (redis.exceptions.ConnectionError("max number of clients reached"), "connections"),
        (redis.exceptions.AuthenticationError("WRONGPASS invalid username-password pair"), "password"),
        (redis.exceptions.TimeoutError("Timeout reading from socket"), "reached"),
        (ConnectionResetError(), "reached"),
    ],
)
def test_each_answer_of_a_store_in_trouble_has_a_sentence(answer: Exception, words: str) -> None:
    """Whatever keeps the store from storing is StoreUnavailable, in words for people."""
    with pytest.raises(StoreUnavailable, match=words), store_errors():
        raise answer


def test_a_mistake_of_the_product_is_no_trouble_of_the_store() -> None:
    """A wrong command stays an error of its own, even where its text has one of those words in small letters."""
    with pytest.raises(redis.exceptions.ResponseError), store_errors():
        raise redis.exceptions.ResponseError("ERR wrong number of arguments; busy")


def test_nobody_waits_for_a_store_that_is_known_to_be_away(valkey: Valkey) -> None:
    """One caller tries, the others are told at once; when the watch reaches the store, everybody may."""
    url, breaker = f"unix://{valkey.socket}", Breaker(1)
    settings, stack = load_settings(None, redis_url=url), ThreadingStack()
    client = connect(settings, stack, timeout=0.5, breaker=breaker, connections=3)
    client.set("key", "value")
    valkey.freeze()
    took = []

    def ask() -> None:
        began = time.monotonic()
        with pytest.raises(redis.exceptions.RedisError):
            client.get("key")
        took.append(time.monotonic() - began)

    for count in (1, 9):
        callers = [threading.Thread(target=ask) for _ in range(count)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    # Without it, all ten.
    assert len([seconds for seconds in took if seconds > 0.4]) <= 4
    assert max(took) < 2
    health = _health(url, breaker)
    health.look()
    valkey.thaw()
    with pytest.raises(redis.exceptions.ConnectionError, match="a moment ago"):
        client.get("key")
    health.look()
    assert client.get("key") == b"value"


def test_without_the_watch_one_caller_finds_that_the_store_is_back(valkey: Valkey) -> None:
    """After a pause one call is let through, and then all are."""
    settings, stack = load_settings(None, redis_url=f"unix://{valkey.socket}"), ThreadingStack()
    client = connect(settings, stack, timeout=0.5, breaker=Breaker(1), connections=2)
    valkey.kill()
    for _ in range(9):
        # More than the pool has connections: a failed call gives its own back.
        with pytest.raises(redis.exceptions.ConnectionError):
            client.get("key")
    valkey.start()
    deadline = time.monotonic() + 5 * PROBE_SECONDS
    while True:
        try:
            client.get("key")
            break
        except redis.exceptions.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert [client.get("key") for _ in range(5)] == [None] * 5


def test_a_failed_connection_costs_the_pool_no_permit_and_brings_none(valkey: Valkey) -> None:
    """The bound on connections stays what it is, however often connecting fails."""
    settings, stack = load_settings(None, redis_url=f"unix://{valkey.socket}"), ThreadingStack()
    client = connect(settings, stack, timeout=5, connections=2)
    valkey.kill()
    for _ in range(20):
        with pytest.raises(redis.exceptions.ConnectionError):
            client.get("key")
    valkey.start()
    answers: list[Any] = []
    callers = [threading.Thread(target=lambda: answers.append(client.blpop("none", timeout=0.2))) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == [None] * 8


def test_a_shutdown_stops_runs_and_says_so(start_server: Callable[..., Server]) -> None:
    """SIGTERM: a job that listens is stopped, one that does not is lost after the grace, no new one starts."""
    first = start_server(STOP_GRACE="6")
    person = first.log_in()
    page = first.page(person)
    listens = page.start("lines", count=100_000, pause=0.01)
    sleeps = page.start("stubborn")
    page.wait_for_text(listens, "5\n")
    page.wait_for_text(sleeps, "sleeping\n")
    began = time.monotonic()
    first.process.terminate()
    refusal = None
    while refusal is None:
        answer = page.call("start_request", {"job": "silent"})
        refusal = answer.get("error")
    assert refusal["code"] == "server_stopping"
    assert page.wait_for_end(listens)["message"] == "The server was stopped."
    assert page.statuses[listens]["status"] == "stopped"
    ended = page.wait_for_end(sleeps)
    assert ended["status"] == "lost"
    assert ended["message"] == "The server was stopped, and the job did not end within 6 s."
    assert first.process.wait(10) == 0
    assert time.monotonic() - began > 6
    second = start_server()
    again = second.page(second.log_in())
    for run in (listens, sleeps):
        again.watch(run)
    assert again.wait_for_end(listens)["status"] == "stopped"
    assert again.wait_for_end(sleeps)["status"] == "lost"
    assert again.text(listens) == page.text(listens)
    again.close()


@pytest.mark.parametrize("stack", ["eventlet", "threading"])
def test_a_shutdown_waits_for_runs_where_nobody_is_connected(start_server: Callable[..., Server], stack: str) -> None:
    """A run that a program has started, and that takes its time to end, is stopped and recorded all the same."""
    # Longer than the job takes: it must not be interrupted.
    first = start_server(ASYNC_STACK=stack, STOP_GRACE="30", STAGE_SECONDS="10")
    api = Api(first.url, make_token(first.url, first.log_in()))
    run = api.start("last_words", seconds=2)
    wait_until(lambda: api.get(f"/runs/{run}")["position"])
    api.http.close()
    first.process.terminate()
    assert first.process.wait(30) == 0
    second = start_server()
    found = Api(second.url, api.token).get(f"/runs/{run}")
    assert (found["status"], found["message"]) == ("stopped", "The server was stopped.")
    assert "the child's last word" in Api(second.url, api.token).output(run).decode()
