"""What a login keeps to itself: cookies, sessions that nobody else takes over, tokens that are nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import requests

from tests.integration.simulator_fixture import Simulator
from tests.integration.store_fixture import dump
from tests.integration.visitor import Visitor
from tests.serving import Server

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


def test_cookies_are_out_of_reach(visitor: Visitor) -> None:
    """Each cookie is HttpOnly and SameSite=Lax; without TLS it is not Secure."""
    begun = visitor.ask("/")
    ended = visitor.ask(visitor.allow(begun.headers["Location"]))
    for answer, name in ((begun, "frt_login_"), (ended, "frt_session=")):
        cookie = next(value for value in answer.raw.headers.getlist("Set-Cookie") if value.startswith(name))
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie
    assert len(visitor.session_id) >= 22


def test_cookies_are_secure_behind_tls(start_server: Callable[..., Server], simulator: Simulator) -> None:
    """Where visitors come by https, each cookie is Secure."""
    server = start_server(REDIRECT_URI="https://frt.example/redirect")
    visitor = Visitor(server.url, simulator)
    begun = visitor.ask("/", headers={"Host": "frt.example"})
    login = begun.headers["Set-Cookie"]
    assert "; Secure" in login
    # A test's browser would not send that cookie without TLS, so it is sent by hand.
    callback = visitor.allow(begun.headers["Location"]).replace("https://frt.example", server.url)
    ended = requests.get(
        callback,
        headers={"Host": "frt.example", "Cookie": login.split(";", 1)[0]},
        allow_redirects=False,
        timeout=20,
    )
    assert ended.status_code == 302, ended.text
    session = next(value for value in ended.raw.headers.getlist("Set-Cookie") if value.startswith("frt_session="))
    assert "; Secure" in session


def test_a_login_makes_a_new_session(visitor: Visitor, second: Visitor) -> None:
    """A second login in the same browser gives a new session id, and the old id is dead."""
    visitor.log_in()
    before = visitor.session_id
    visitor.ask(visitor.allow(visitor.begin("/login"), user=1))
    assert visitor.session_id != before
    assert visitor.logged_in()
    second.cookies.set("frt_session", before)
    assert not second.logged_in()


def test_a_planted_session_is_not_taken_over(visitor: Visitor, second: Visitor) -> None:
    """A session id that somebody planted in the browser does not become a login."""
    planted = "planted-by-somebody-planted-by-somebody-123"
    visitor.cookies.set("frt_session", planted, domain="localhost.local", path="/")
    visitor.log_in()
    assert planted not in visitor.session_id.split()
    second.cookies.set("frt_session", planted)
    assert not second.logged_in()


@pytest.mark.parametrize("value", ["", "x", "\u00e9", "a" * 4000, "../../run", '"', "%00", "*"], ids=range(8))
def test_senseless_session_cookies(visitor: Visitor, value: str) -> None:
    """A cookie that names no session is nobody's."""
    answer = requests.get(
        visitor.home, headers={"Cookie": f"frt_session={value}".encode()}, allow_redirects=False, timeout=20
    )
    assert answer.status_code == 302
    assert "/authorize?" in answer.headers["Location"]


def test_the_canary_is_nowhere(
    start_server: Callable[..., Server], simulator: Simulator, redis_client: redis.Redis
) -> None:
    """No token is in any page, header, log line, record of the store, or environment of the processes."""
    server = start_server(REVOCATION_URL=f"{simulator.url}/revoke")
    visitor = Visitor(server.url, simulator)
    seen: list[str] = []

    def ask(address: str, **options: object) -> requests.Response:
        answer = visitor.ask(address, **options)
        seen.append(f"{answer.status_code} {answer.url} {answer.headers} {answer.text}")
        return answer

    callback = visitor.allow(ask("/").headers["Location"])
    ask(callback)
    page = server.page(visitor)
    run = page.start()
    page.wait_for_text(run, "Done")
    for path in ("/", "/index", "/jobs/list_spaces", f"/runs/{run}", f"/runs/{run}/output", "/healthz", "/nowhere"):
        ask(path)
    ask(callback)
    secrets = [*simulator.tokens(), *simulator.tokens("refresh")]
    assert len(secrets) >= 2
    store = dump(redis_client)
    assert b"token:" in store
    assert visitor.session_id
    assert visitor.session_id.encode() not in store
    ask("/logout", headers=SAME_ORIGIN)
    seen += [server.log.read_text(), page.text(run), str(page.statuses), _environments(server)]
    for secret in secrets:
        assert secret.encode() not in store
        assert not any(secret in text for text in seen)


def _environments(server: Server) -> str:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    assert children
    return "".join(Path(f"/proc/{pid}/environ").read_text(errors="replace") for pid in [server.process.pid, *children])
