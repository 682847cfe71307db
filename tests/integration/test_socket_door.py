"""The Socket.IO door: wrong, late, foreign and hostile messages, and who may connect at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from websockets.sync.client import connect

from app.config import load_settings
from app.store.sessions import PREFIX, session_key
from tests.serving import Page, Server
from tests.socket_client import ConnectionRefused, SocketClient


@pytest.mark.parametrize(
    ("event", "message", "code"),
    [
        ("start_request", {"job": "no such job"}, "not_found"),
        ("start_request", {"job": 5}, "bad_request"),
        ("start_request", {"job": "lines", "params": [1]}, "bad_request"),
        ("start_request", {"job": "lines", "key": "k" * 500}, "bad_request"),
        ("start_request", {"job": "lines", "params": {"count": "many"}}, "invalid_parameters"),
        ("start_request", {"job": "lines", "params": {"unknown": 1}}, "invalid_parameters"),
        ("start_request", "lines", "bad_request"),
        ("stop_request", {"run": "x" * 22}, "not_found"),
        ("stop_request", {"run": "log"}, "not_found"),
        ("stop_request", {}, "not_found"),
        ("watch", {}, "bad_request"),
        ("watch", {"run": "../../etc/passwd"}, "not_found"),
        ("watch", {"run": "x" * 22}, "not_found"),
        ("unwatch", {"run": 7}, "bad_request"),
        ("ack", {"run": "x", "position": "far"}, "bad_request"),
    ],
)
def test_wrong_messages_get_clear_errors(page: Page, event: str, message: Any, code: str) -> None:
    """Each wrong message is answered with its error, as acknowledgement and as event, and the page lives on."""
    answer = page.call(event, message)
    assert answer["ok"] is False
    assert answer["error"]["code"] == code
    assert "Traceback" not in str(answer)
    with page.changed:
        page.changed.wait_for(lambda: page.errors, 5)
    assert page.errors[0] == {**answer["error"], "event": event}
    assert page.wait_for_end(page.start("silent"))["status"] == "succeeded"


def test_a_position_beyond_the_output_is_refused(page: Page) -> None:
    """A position that the run does not have is refused, in whatever form it comes."""
    run = page.start("lines", count=2)
    page.wait_for_end(run)
    for after in (-1, 5, 2**70, True, "0"):
        answer = page.call("watch", {"run": run, "after": after})
        assert answer["error"]["code"] == "bad_request"


def test_late_and_foolish_acknowledgements_change_nothing(page: Page) -> None:
    """An ack for an unknown run, of the past, or of the future does no harm."""
    run = page.start("lines", count=50, pause=0.005)
    for position in (-5, 0, 10**15, 1):
        page.client.emit("ack", {"run": run, "position": position})
    page.client.emit("ack", {"run": "unknown", "position": 1})
    page.wait_for_end(run)
    assert page.text(run) == "".join(f"{number}\n" for number in range(50))


def test_watching_a_run_many_times_at_once_leaves_one_viewer(page: Page) -> None:
    """However the events of one page fall together, one of them is its viewer in the end."""
    run = page.start("lines", count=2000, pause=0.005)
    page.wait_for_text(run, "0\n")
    with ThreadPoolExecutor(20) as many:
        list(many.map(lambda _: page.call("watch", {"run": run, "after": 0, "ack": True}), range(20)))
    page.call("unwatch", {"run": run})
    time.sleep(0.5)
    with page.changed:
        page.texts.pop(run)
        # Each of them began anew.
        page.gaps.clear()
    time.sleep(0.5)
    assert page.text(run) == ""
    page.call("stop_request", {"run": run})


def test_a_foreign_run_answers_like_an_unknown_one(server: Server, page: Page) -> None:
    """Another user can neither watch, stop nor download a run, and cannot tell that it exists."""
    run = page.start("lines", count=200, pause=0.01)
    stranger = server.log_in(1)
    other = server.page(stranger)
    unknown = "A" * 22
    for event in ("watch", "stop_request"):
        assert other.call(event, {"run": run}) == other.call(event, {"run": unknown})
        assert other.call(event, {"run": run})["error"]["code"] == "not_found"
    for path in ("/runs/{}", "/runs/{}/output"):
        answers = [stranger.get(server.url + path.format(each), timeout=10) for each in (run, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404]
    assert run not in stranger.get(server.url, timeout=10).text
    assert page.wait_for_end(run)["status"] == "succeeded"
    other.close()


def test_nobody_connects_without_a_login(server: Server) -> None:
    """A socket without a session, or with a made-up one, is refused."""
    for cookie in ("", "frt_session=made-up"):
        with pytest.raises(ConnectionRefused, match="login_required"):
            SocketClient(server.url, cookie, lambda _event, _message: None)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example"])
@pytest.mark.parametrize("forged", [{}, {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}])
def test_foreign_origins_are_refused(server: Server, origin: str, forged: dict[str, str]) -> None:
    """A page of another site cannot open the socket, also with a forged X-Forwarded-Host."""
    person = server.log_in()
    address = f"{server.url}/socket.io/?EIO=4&transport=polling"
    headers = {"Origin": origin, **forged}
    assert person.get(address, headers=headers, timeout=10).status_code == 400
    assert person.get(address, headers={"Origin": server.url, **forged}, timeout=10).status_code == 200


def test_logout_ends_the_sockets_of_this_session_only(server: Server) -> None:
    """Logging out disconnects this browser's sockets within 5 s; the job goes on, and the other browser stays."""
    here, there = server.log_in(), server.log_in()
    page, other = server.page(here), server.page(there)
    run = page.start("lines", count=300, pause=0.01)
    assert here.get(f"{server.url}/logout", headers={"Sec-Fetch-Site": "same-origin"}, timeout=10).ok
    deadline = time.monotonic() + 5
    while page.client.connected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not page.client.connected
    assert other.client.connected
    other.watch(run)
    assert other.wait_for_end(run)["status"] == "succeeded"
    other.close()


@pytest.fixture
def shared_store(_valkey_socket: Path) -> Iterator[redis.Redis]:
    """The store of the server that tests share."""
    with redis.Redis(unix_socket_path=str(_valkey_socket), protocol=2) as client:
        yield client


def test_what_an_ended_session_asks_for_is_not_done(server: Server, shared_store: redis.Redis) -> None:
    """A session ends, and before its socket is closed everything is refused: no run starts, and none stops."""
    here, there = server.log_in(), server.log_in()
    page, other = server.page(here), server.page(there)
    run, process = page.start("lines", count=300, pause=0.01), page.start("waits_elsewhere")
    page.wait_for_text(process, "before\n")
    assert shared_store.delete(PREFIX + session_key(here.cookies["frt_session"])) == 1
    asked = {
        "start_request": {"job": "silent"},
        "stop_request": {"run": run},
        "kill_request": {"run": process},
        "input": {"run": process, "line": "x"},
        "watch": {"run": run},
        "unwatch": {"run": run},
        "search": {"run": run, "query": "1"},
    }
    for event, message in asked.items():
        answer = None
        while answer is None:
            try:
                answer = page.call(event, message)
            except (KeyError, OSError):
                # The server looks for such sockets now and then, and was there first.
                assert not page.client.connected
                here = server.log_in()
                page = server.page(here)
                shared_store.delete(PREFIX + session_key(here.cookies["frt_session"]))
        assert answer["error"]["code"] == "login_required", event
    other.watch(run)
    assert other.wait_for_end(run)["status"] == "succeeded"
    other.watch(process)
    assert other.call("stop_request", {"run": process})["run"]["status"] == "stopping"
    assert other.wait_for_end(process)["status"] == "stopped"
    page.close()
    other.close()


def test_a_session_that_is_used_lasts(server: Server, shared_store: redis.Redis) -> None:
    """What a page asks for makes its session last its whole time again; to stop a run, too."""
    here = server.log_in()
    page = server.page(here)
    run = page.start("lines", count=300, pause=0.01)
    key = PREFIX + session_key(here.cookies["frt_session"])
    page.wait_for_text(run, "3\n")
    whole = load_settings(None).session_hours * 3600
    for event, message in (("watch", {"run": run}), ("stop_request", {"run": run})):
        shared_store.expire(key, 60)
        answer = page.call(event, message)
        assert answer["run"]["position"] >= len("0\n1\n2\n3\n")
        assert whole - 20 <= shared_store.ttl(key) <= whole
    page.close()


@pytest.mark.parametrize(("settings", "accepted"), [({}, False), ({"COMPRESSION": "on"}, True)])
def test_websockets_are_compressed_by_setting_alone(
    start_server: Callable[..., Server], settings: dict[str, str], accepted: bool
) -> None:
    """Browsers offer compression with each websocket; the server takes it up only where COMPRESSION says so."""
    server = start_server(**settings)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in server.log_in().cookies)
    address = server.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    origin: Any = server.url
    with connect(address, additional_headers={"Cookie": cookies}, origin=origin, compression="deflate") as socket:
        assert socket.recv(10)
        assert socket.response is not None
        agreed = "permessage-deflate" in socket.response.headers.get("Sec-WebSocket-Extensions", "")
        assert agreed is accepted
