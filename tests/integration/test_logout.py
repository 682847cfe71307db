"""Logout ends a session, its sockets and its tokens, and nothing else; no other site brings it about."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis
import requests
from websocket import WebSocketException

from tests.integration.simulator_fixture import Simulator
from tests.integration.visitor import Visitor
from tests.serving import Page, Server
from tests.socket_client import ConnectionRefused

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


def test_logout_in_one_click(visitor: Visitor, second: Visitor) -> None:
    """The link on the page ends the session, whose id is dead everywhere, and the page says what goes on."""
    visitor.log_in()
    assert 'href="/logout"' in visitor.ask("/").text
    old = visitor.session_id
    answer = visitor.ask("/logout", headers=SAME_ORIGIN)
    assert answer.status_code == 200
    assert "You are logged out" in answer.text
    assert "Runs that are still going on keep the access that they hold" in answer.text
    assert "Authenticated as" not in answer.text
    assert not visitor.session_id
    second.cookies.set("frt_session", old)
    assert not second.logged_in()
    assert "You are logged out" in visitor.ask("/logout", headers=SAME_ORIGIN).text


@pytest.mark.parametrize(
    "headers",
    [
        CROSS_SITE,
        {"Sec-Fetch-Site": "same-site"},
        {**SAME_ORIGIN, "Sec-Purpose": "prefetch;prerender"},
        {"Referer": "https://evil.example/"},
        {"Referer": "http://localhost:50001/"},
        {"Origin": "https://evil.example"},
        {},
    ],
    ids=range(7),
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_other_site_logs_anybody_out(visitor: Visitor, method: str, headers: dict[str, str]) -> None:
    """A request that another site may have caused is answered by a question; the answer to it logs out."""
    visitor.log_in()
    answer = visitor.request(method, f"{visitor.home}/logout?key=guess", headers=headers, timeout=20)
    assert answer.status_code == 200
    assert "Please confirm" in answer.text
    assert visitor.logged_in()
    link = answer.text.split('href="/logout?key=')[1].split('"')[0]
    assert "You are logged out" in visitor.ask(f"/logout?key={link}").text
    assert not visitor.logged_in()


def test_logout_by_address_bar_and_referer(visitor: Visitor) -> None:
    """Typing the address logs out, and so does our link in a browser that tells no more than where it came from."""
    for headers in ({"Sec-Fetch-Site": "none"}, {"Referer": f"{visitor.home}/jobs/list_spaces"}):
        visitor.log_in()
        assert "You are logged out" in visitor.ask("/logout", headers=headers).text
        assert not visitor.logged_in()


def test_logout_ends_sockets(server: Server, visitor: Visitor) -> None:
    """The open sockets of the session are closed within 5 s, and its cookie opens no new one."""
    visitor.log_in()
    page = server.page(visitor)
    assert page.call("stop_request")["error"]["code"] == "not_found"
    cookie = f"frt_session={visitor.session_id}"
    visitor.ask("/logout", headers=SAME_ORIGIN)
    deadline = time.monotonic() + 5
    while page.client.connected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not page.client.connected
    late = requests.Session()
    late.headers["Cookie"] = cookie
    late.cookies.set("frt_session", cookie.partition("=")[2])
    with pytest.raises((ConnectionRefused, WebSocketException)):
        Page(server.url, late)


def test_logout_deletes_and_revokes_tokens(
    start_server: Callable[..., Server], simulator: Simulator, redis_client: redis.Redis
) -> None:
    """A logout leaves no token in the store, and none that the provider would still take."""
    server = start_server(REVOCATION_URL=f"{simulator.url}/revoke")
    visitor = Visitor(server.url, simulator)
    visitor.log_in()
    assert len(redis_client.keys("token:*")) == len(simulator.tokens()) == 1
    visitor.ask("/logout", headers=SAME_ORIGIN)
    assert redis_client.keys("token:*") == redis_client.keys("session:*") == []
    deadline = time.monotonic() + 5
    while (simulator.tokens() or simulator.tokens("refresh")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert simulator.tokens() == simulator.tokens("refresh") == []


def test_a_running_job_goes_on_after_the_logout(start_server: Callable[..., Server], simulator: Simulator) -> None:
    """A run that is under way works on with its token to its end; then the provider ends the token."""
    server = start_server(REVOCATION_URL=f"{simulator.url}/revoke")
    visitor = Visitor(server.url, simulator)
    visitor.log_in()
    simulator.turn(latency=0.4)
    page = server.page(visitor)
    run = page.start()
    visitor.ask("/logout", headers=SAME_ORIGIN)
    held = set(simulator.tokens())
    assert held
    visitor.log_in()
    page = server.page(visitor)
    page.watch(run)
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert "Done" in page.text(run)
    deadline = time.monotonic() + 10
    while held & set(simulator.tokens()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not held & set(simulator.tokens())
    assert simulator.tokens()


def test_a_second_browser_after_the_logout(server: Server, visitor: Visitor, second: Visitor) -> None:
    """The same user's other browser stays logged in and may look; a job that needs a token asks for a new login."""
    visitor.log_in()
    second.log_in()
    visitor.ask("/logout", headers=SAME_ORIGIN)
    assert second.logged_in()
    page = server.page(second)
    answer = page.call("start_request")
    assert answer["error"]["code"] == "login_again"
    assert "log in again" in answer["error"]["message"]
    second.ask(second.allow(second.begin("/login")))
    page = server.page(second)
    page.wait_for_text(page.start(), "Done")
