"""The namespace `/status`: what pages are told of the system, when, by whom, and until when."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.crowd import cookie_of
from tests.killable import Valkey
from tests.serving import Server, running_server
from tests.socket_client import ConnectionRefused, SocketClient
from tests.states import Listener, Poller
from tests.waiting import wait_until

LEGS = ["eventlet", "threading"]


@pytest.mark.parametrize("stack", LEGS)
def test_a_page_is_told_at_once_and_when_something_changes(start_alone: Callable[..., Server], stack: str) -> None:
    """The first state comes with the connection; a run that begins, one that waits and their ends change it."""
    server = start_alone(ASYNC_STACK=stack, NODE_RUNS="1")
    person = server.log_in()
    page, other = server.page(person), Listener(server.url, server.log_in(1))
    before = other.numbers(running=0, waiting=0, nodes=1, runners=1)
    assert before == {"running": 0, "waiting": 0, "runners": 1, "workers": 0, "nodes": 1, "queues": {}}
    first, second = page.start("sleeper"), page.start("sleeper")
    assert other.numbers(running=1, waiting=1)["queues"] == {"thread": 1}
    for run in (second, first):
        page.call("stop_request", {"run": run})
    other.numbers(running=0, waiting=0)
    state = other.state()
    assert state["storage"] == {"available": True, "since": None, "reason": ""}
    assert state["heartbeat"] == 15
    # Numbers alone: nothing of whose runs these are.
    told = str(other.events)
    for secret in (first, second, "sleeper", "@"):
        assert secret not in told
    assert {event for event, _ in other.events} == {"state"}
    page.close()
    other.close()


def test_news_are_counted_not_asked_for_by_each_page(start_alone: Callable[..., Server], valkey: Valkey) -> None:
    """The store is read once a second for all pages together, and seldom where there are none."""
    server, client = start_alone(), redis.Redis(unix_socket_path=str(valkey.socket))
    person = server.log_in()
    pages = [Listener(server.url, person) for _ in range(20)]
    for page in pages:
        page.numbers(nodes=1)
    first = client.info("commandstats")
    began = time.monotonic()
    time.sleep(4)
    last = client.info("commandstats")
    passed = time.monotonic() - began
    # Nobody else adds to a sorted set here: each reading does so once.
    counted = last["cmdstat_zremrangebyscore"]["calls"] - first["cmdstat_zremrangebyscore"]["calls"]
    assert 1 <= counted <= passed + 1
    client.close()
    for page in pages:
        page.close()


@pytest.mark.parametrize("stack", LEGS)
def test_two_nodes_on_one_store_tell_their_own_pages_the_same(
    store_settings: dict[str, Any], valkey: Valkey, tmp_path: Path, stack: str
) -> None:
    """Each page gets each state once, from its node; a node that goes is gone from the numbers at once."""
    assert valkey
    settings = {**store_settings, "ASYNC_STACK": stack}
    with running_server(tmp_path / "a", **settings) as here, ExitStack() as there:
        second = there.enter_context(running_server(tmp_path / "b", **settings))
        pages = [Listener(each.url, here.log_in()) for each in (here, second)]
        for page in pages:
            page.numbers(nodes=2, runners=2)
        runner = here.page(here.log_in())
        run = runner.start("sleeper")
        for page in pages:
            page.numbers(running=1)
        runner.call("stop_request", {"run": run})
        for page in pages:
            page.numbers(running=0)
            states = [state["numbers"] for state in page.of("state")]
            assert max(state["running"] for state in states) == 1
            # No state comes twice but by its heartbeat, of which a slow machine may see one.
            assert len([1 for before, after in pairwise(states) if before == after]) <= 1
        pages[1].close()
        began = time.monotonic()
        there.close()
        pages[0].numbers(nodes=1, runners=1)
        assert time.monotonic() - began < 15
        pages[0].close()
        runner.close()


@pytest.mark.parametrize("stack", LEGS)
def test_an_outage_of_the_store_is_told_with_its_beginning(
    store_settings: dict[str, Any], valkey: Valkey, tmp_path: Path, stack: str
) -> None:
    """While the store is away pages stay and are told since when; the numbers stay as they were."""
    with running_server(tmp_path / "log", **{**store_settings, "ASYNC_STACK": stack}) as server:
        person = server.log_in()
        page = Listener(server.url, person)
        page.numbers(nodes=1, runners=1)
        began = time.time()
        valkey.kill()
        away = page.state(lambda state: not state["storage"]["available"])
        assert began - 2 < away["storage"]["since"] <= time.time()
        assert away["storage"]["reason"]
        assert away["numbers"]["nodes"] == 1
        with pytest.raises(ConnectionRefused, match="store_unavailable"):
            Listener(server.url, person)
        valkey.start()
        page.state(lambda state: state["storage"]["available"])
        assert page.client.connected
        page.numbers(nodes=1, runners=1)
        page.close()


@pytest.mark.parametrize("stack", LEGS)
def test_a_server_without_pages_stops_and_one_with_pages_too(start_server: Callable[..., Server], stack: str) -> None:
    """The task ends with its server, whoever listens, and complains of nothing."""
    server = start_server(ASYNC_STACK=stack)
    pages = [Listener(server.url, server.log_in()) for _ in range(3)]
    for page in pages:
        page.numbers(nodes=1)
    server.process.terminate()
    assert server.process.wait(15) == 0
    wait_until(lambda: not any(page.client.connected for page in pages))
    assert "Traceback" not in server.log.read_text()


def test_a_login_is_needed_and_its_end_is_the_end(server: Server) -> None:
    """Without a session nobody is let in, nor a foreign page; a logout ends the namespace as it ends the others."""
    with pytest.raises(ConnectionRefused, match="login_required"):
        SocketClient(server.url, "", lambda _event, _message: None, namespace="/status")
    here, there = server.log_in(), server.log_in()
    with pytest.raises(Exception, match="400"):
        SocketClient(server.url, cookie_of(here), lambda _e, _m: None, "http://evil.example", namespace="/status")
    page, other = Listener(server.url, here), Listener(server.url, there)
    page.state()
    assert here.get(f"{server.url}/logout", headers={"Sec-Fetch-Site": "same-origin"}, timeout=10).ok
    wait_until(lambda: not page.client.connected, seconds=5)
    assert other.client.connected
    other.close()


def test_a_page_counts_once_however_many_namespaces_it_has(start_server: Callable[..., Server]) -> None:
    """Namespaces share a connection; who has as many as may be is refused in each namespace, and told so."""
    server = start_server(USER_SOCKETS="2")
    person = server.log_in()
    pages = [Listener(server.url, person, "/") for _ in range(2)]
    for page in pages:
        page.client.join("/status")
        page.client.join("/test")
        page.wait("/status state")
    for namespace in ("/", "/status", "/test"):
        with pytest.raises(ConnectionRefused, match="2 pages open"):
            Listener(server.url, person, namespace)
    with pytest.raises(ConnectionRefused, match="Unable to connect"):
        pages[0].client.join("/nowhere")
    pages.pop().close()
    wait_until(lambda: _opens(server, person))
    for page in pages:
        page.close()


def _opens(server: Server, person: Any) -> bool:
    try:
        Listener(server.url, person).close()
    except ConnectionRefused:
        return False
    return True


def test_what_a_page_sends_is_not_heard(server: Server) -> None:
    """Events that the namespace does not know, also those of runs, do nothing here; the page lives on."""
    page = Listener(server.url, server.log_in())
    page.state()
    for event, message in [("state", {"numbers": None}), ("start_request", {"job": "lines"}), ("x" * 1000, [1] * 1000)]:
        page.client.emit(event, message)
    page.client.emit("state")
    time.sleep(0.5)
    assert page.client.connected
    assert {event for event, _ in page.events} == {"state"}
    page.close()


@pytest.mark.parametrize("stack", LEGS)
def test_a_page_that_does_not_read_is_told_the_newest_alone(start_server: Callable[..., Server], stack: str) -> None:
    """While a page fetches nothing one state waits for it, however many there were; what comes next is the newest."""
    # With so many connections heartbeats are rare: who answers none for a minute is still there.
    server = start_server(ASYNC_STACK=stack, MAX_CONNECTIONS="60000")
    person = server.log_in()
    slow = Poller(server.url, person)
    assert slow.poll()[0].startswith("40/status,")
    page, runner = Listener(server.url, person), server.page(person)
    for _ in range(3):
        run = runner.start("sleeper")
        page.numbers(running=1)
        runner.call("stop_request", {"run": run})
        page.numbers(running=0)
    told = len(page.of("state"))
    assert told >= 6
    came: list[str] = []

    def newest() -> bool:
        came.extend(packet for packet in slow.poll() if packet.startswith("42"))
        return '"running":0' in came[-1] if came else False

    wait_until(newest)
    # The one that waited, one from the moment of asking, and the newest.
    assert len(came) <= min(3, told / 2), came
    page.close()
    runner.close()
