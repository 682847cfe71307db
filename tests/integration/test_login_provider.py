"""Login where the provider denies, fails, is slow or away; sessions live on without it."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
import requests

from tests.hostile import hostile_provider
from tests.integration.simulator_fixture import Simulator
from tests.integration.visitor import Visitor, decent, query
from tests.serving import Server, free_port

CODES = "grant:authorization_code"


def test_denied_access(visitor: Visitor, simulator: Simulator) -> None:
    """Who says no at the provider sees a page that says so and offers to try again, for the same page."""
    answer = visitor.ask(visitor.allow(visitor.begin("/jobs/list_spaces"), decision="deny"))
    decent(answer, 403)
    assert "did not allow" in answer.text
    assert "/login?next=/jobs/list_spaces" in answer.text
    assert simulator.count(CODES) == 0
    assert not visitor.session_id
    visitor.log_in()


@pytest.mark.parametrize(
    "error", ["server_error", "temporarily_unavailable", "<script>alert(1)</script>", "", "\r\nX: 1"]
)
def test_other_errors_of_the_provider(visitor: Visitor, error: str) -> None:
    """Any other error has a decent page too, without the provider's words."""
    state = query(visitor.begin())["state"]
    question = urlencode({"error": error, "error_description": "<b>gossip</b>", "state": state})
    answer = visitor.ask(f"/redirect?{question}")
    decent(answer, 403)
    assert "gossip" not in answer.text
    assert "alert(1)" not in answer.text


@pytest.mark.parametrize("path", ["/access_token", "/people/me"])
@pytest.mark.parametrize(
    "fault", [{"status": 502}, {"cut": True}, {"status": 429, "body": "<h1>no</h1>"}, {"delay": 30.0}]
)
def test_a_failing_provider(visitor: Visitor, simulator: Simulator, path: str, fault: dict[str, object]) -> None:
    """Where the provider fails or is slow the visitor has a 503 page within 5 s, and may try again at once."""
    callback = visitor.allow(visitor.begin())
    simulator.fault(path, **fault)
    began = time.monotonic()
    answer = visitor.ask(callback)
    # Of thirty; those five, and what the machine needs.
    assert time.monotonic() - began < 15
    decent(answer, 503)
    assert "Webex does not answer" in answer.text
    assert answer.headers["Retry-After"].isdigit()
    simulator.clear_faults()
    visitor.log_in()
    assert visitor.logged_in()


def test_a_dead_provider(start_server: Callable[..., Server], simulator: Simulator) -> None:
    """With nobody at the provider's address the answer is a 503 at once."""
    server = start_server(PROVIDER_URL=f"http://127.0.0.1:{free_port()}/v1", PROVIDER_PUBLIC_URL=simulator.url)
    visitor = Visitor(server.url, simulator)
    decent(visitor.ask(visitor.allow(visitor.begin())), 503)


def test_a_provider_that_drips(start_server: Callable[..., Server], simulator: Simulator) -> None:
    """A provider that sends a byte now and then is given up after 5 s; meanwhile others are served as ever."""
    with hostile_provider() as provider:
        provider.body, provider.drip = b" " * 1000, 0.2
        server = start_server(PROVIDER_URL=provider.url, PROVIDER_PUBLIC_URL=simulator.url)
        visitor = Visitor(server.url, simulator)
        callbacks = [visitor.allow(visitor.begin()) for _ in range(5)]
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            began = time.monotonic()
            waiting = [pool.submit(visitor.ask, callback) for callback in callbacks]
            while time.monotonic() - began < 3:
                asked = time.monotonic()
                assert requests.get(f"{server.url}/healthz", timeout=20).ok
                assert time.monotonic() - asked < 4.5
            for answer in waiting:
                decent(answer.result(), 503)
            assert time.monotonic() - began < 15


PROFILES = [
    ('{"id": "u1", "displayName": "<b>Ann</b>", "emails": ["a@b.example"]}', 302, "&lt;b&gt;Ann&lt;/b&gt;"),
    ('{"id": "u1", "displayName": "A\\r\\nX: 1\\u001b[2J", "emails": []}', 302, "A X: 1 [2J"),
    ('{"id": "u1", "nickName": "Nick"}', 302, "Authenticated as Nick"),
    ('{"id": "u1", "emails": ["a@b.example"]}', 302, "a@b.example"),
    ('{"id": "u1", "displayName": "' + "x" * 100_000 + '"}', 302, "Authenticated as " + "x" * 200 + "</p>"),
    ('{"displayName": "Nobody"}', 503, ""),
    ('{"id": ""}', 503, ""),
    ('{"id": 5}', 503, ""),
    ('{"id": "a b"}', 503, ""),
    ('{"id": "' + "x" * 300 + '"}', 503, ""),
    ("[]", 503, ""),
    ("nonsense", 503, ""),
]


def test_profiles(start_server: Callable[..., Server], simulator: Simulator) -> None:
    """A profile is shown as text on one line; one that names nobody is no login."""
    with hostile_provider() as provider:
        server = start_server(PROVIDER_URL=provider.url, PROVIDER_PUBLIC_URL=simulator.url)
        for profile, status, shown in PROFILES:
            # One answer for both questions: the tokens are read from it, then the profile.
            answer = '{"access_token": "a-good-token",' + profile[1:] if profile.startswith("{") else profile
            provider.body = answer.encode()
            visitor = Visitor(server.url, simulator)
            assert visitor.ask(visitor.allow(visitor.begin())).status_code == status, profile[:80]
            assert shown in visitor.ask("/").text


def test_sessions_live_on_without_the_provider(start_server: Callable[..., Server], simulator: Simulator) -> None:
    """While the provider is a black hole, who is logged in goes on at full speed, though a token is due."""
    server = start_server()
    visitor = Visitor(server.url, simulator)
    simulator.turn(token_lifetime=5)
    visitor.log_in()
    time.sleep(5.1)
    simulator.fault("/access_token", delay=30.0, times=20)
    for _ in range(5):
        began = time.monotonic()
        assert visitor.logged_in()
        assert time.monotonic() - began < 3


def test_pages_keep_the_token_fresh(visitor: Visitor, simulator: Simulator) -> None:
    """Looking at pages from which jobs start refreshes a token that is about to end."""
    simulator.turn(token_lifetime=100)
    visitor.log_in()
    visitor.logged_in()
    time.sleep(0.5)
    assert simulator.count("grant:refresh_token") == 0
    simulator.turn(token_lifetime=6)
    visitor.log_in(path="/login")
    time.sleep(3.2)
    visitor.logged_in()
    deadline = time.monotonic() + 5
    while simulator.count("grant:refresh_token") == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert simulator.count("grant:refresh_token") == 1


def test_a_black_hole_keeps_nobody_waiting(start_server: Callable[..., Server], simulator: Simulator) -> None:
    """While the provider takes questions and answers none, a login is a 503 within 5 s, all else goes on at once."""
    server = start_server()
    visitor, other = Visitor(server.url, simulator), Visitor(server.url, simulator)
    # Each page asks for a refresh, which nobody waits for.
    simulator.turn(token_lifetime=5)
    visitor.log_in()
    page = server.page(visitor)
    run = page.start("lines", count=100_000, pause=0.02)
    page.wait_for_text(run, "3\n")
    time.sleep(5.1)
    callbacks = [other.allow(other.begin()) for _ in range(5)]
    simulator.fault("/", delay=60.0, times=1000)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        began = time.monotonic()
        waiting = [pool.submit(other.ask, callback) for callback in callbacks]
        for path in ("/", "/jobs/lines", f"/runs/{run}"):
            # The provider would take a minute, and a login takes five seconds.
            assert visitor.ask(path, timeout=4).status_code == 200
        again = server.page(visitor)
        assert again.watch(run)["ok"]
        again.wait_for_text(run, "3\n", 4)
        second = again.call("start_request", {"job": "silent"})
        assert second["ok"], second
        assert again.call("stop_request", {"run": run})["ok"]
        assert page.wait_for_end(run, 4)["status"] == "stopped"
        for answer in waiting:
            decent(answer.result(), 503)
        assert time.monotonic() - began < 20
    simulator.clear_faults()
    other.log_in()
    page.close()
    again.close()
