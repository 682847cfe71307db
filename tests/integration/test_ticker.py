"""The example of a state push, `/test`, as whoever knows the original program would try it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
import requests
import socketio

from tests.crowd import cookie_of
from tests.serving import Server
from tests.socket_client import ConnectionRefused, SocketClient
from tests.states import Listener
from tests.waiting import wait_until

LEGS = ["eventlet", "threading"]


def _time(message: dict[str, str]) -> datetime:
    return datetime.strptime(message["time"], "%Y-%m-%d %H:%M:%S %Z")


@pytest.mark.parametrize("stack", LEGS)
def test_the_original_program(start_server: Callable[..., Server], stack: str) -> None:
    """A usual client: `my response` on connecting and to `my event`, `message` with the time each second."""
    server = start_server(ASYNC_STACK=stack)
    client, heard = socketio.Client(), list[tuple[str, dict[str, object]]]()
    for name in ("message", "my response"):
        client.on(name, lambda message, name=name: heard.append((name, message)), namespace="/test")
    client.connect(
        server.url,
        headers={"Cookie": cookie_of(server.log_in())},
        transports=["websocket"],
        namespaces=["/test"],
        wait_timeout=20,
    )
    client.emit("my event", {"data": "I'm connected!"}, namespace="/test")
    wait_until(lambda: len([name for name, _ in heard if name == "message"]) >= 3)
    answers = [message for name, message in heard if name == "my response"]
    assert {"data": "Connected", "count": 0} in answers
    assert {"data": "I'm connected!", "count": 1} in answers
    times = [message for name, message in heard if name == "message"]
    assert all(set(each) == {"data", "time"} and each["data"] == "This is data" for each in times)
    assert all(re.fullmatch(r"[\d-]{10} [\d:]{8} UTC", str(each["time"])) for each in times)
    client.disconnect()


@pytest.mark.parametrize("stack", LEGS)
def test_one_task_however_many_come_first(start_server: Callable[..., Server], stack: str) -> None:
    """Thirty who come at the same moment are told each second once; after the last has gone it begins anew."""
    server = start_server(ASYNC_STACK=stack)
    person = server.log_in()
    for _ in range(2):
        with ThreadPoolExecutor(30) as threads:
            pages = list(threads.map(lambda _: Listener(server.url, person, "/test"), range(30)))
        for page in pages:
            page.wait("my response")
            page.wait_count("message", 4)
        for page in pages:
            times = [_time(message) for message in page.of("message")]
            # The first may have been told a moment before the next tick; two tasks would tell each second twice.
            repeated = sum(later == earlier for earlier, later in itertools.pairwise(times))
            assert repeated <= 1, times
            assert page.of("my response") == [{"data": "Connected", "count": 0}]
            page.close()


def test_wrong_events_get_clear_errors(server: Server) -> None:
    """What is no object, no text or too long is refused by an `error`; each connection counts its own events."""
    person = server.log_in()
    page, other = Listener(server.url, person, "/test"), Listener(server.url, person, "/test")
    for message in ({"data": 5}, {"data": "x" * 201}, [1], "text", {"data": {"a": 1}}):
        told = len(page.of("error"))
        page.client.emit("my event", message)
        error = page.wait_count("error", told + 1)[-1]
        assert (error["code"], error["event"]) == ("bad_request", "my event")
        assert "Traceback" not in str(error)
    page.client.emit("my event", 1, 2)
    page.client.emit("no such event", {"data": "x"})
    for data, count in (("<b>one</b>", 1), ("two", 2)):
        page.client.emit("my event", {"data": data})
        assert page.wait_count("my response", 1 + count)[-1] == {"data": data, "count": count}
    other.client.emit("my event")
    assert other.wait("my response", lambda message: message["count"] == 1)["data"] == ""
    page.close()
    other.close()


def test_a_login_is_needed(server: Server) -> None:
    """For the namespace, for the page, and until the logout."""
    with pytest.raises(ConnectionRefused, match="login_required"):
        SocketClient(server.url, "", lambda _event, _message: None, namespace="/test")
    assert requests.get(f"{server.url}/test", timeout=10, allow_redirects=False).status_code == 302
    person = server.log_in()
    assert '<p id="test">Hello</p>' in person.get(f"{server.url}/test", timeout=10).text
    page = Listener(server.url, person, "/test")
    page.wait("message")
    assert person.get(f"{server.url}/logout", headers={"Sec-Fetch-Site": "same-origin"}, timeout=10).ok
    wait_until(lambda: not page.client.connected, seconds=5)
