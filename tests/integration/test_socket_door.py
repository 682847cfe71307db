"""The Socket.IO door: wrong, late, foreign and hostile messages, and who may connect at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from websockets.sync.client import connect

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
