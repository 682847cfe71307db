"""Login and logout through the product's own addresses, with the stand-in as provider."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis
import requests
from websocket import WebSocketException

from tests.hostile import hostile_provider
from tests.integration.simulator_fixture import Simulator
from tests.integration.store_fixture import dump
from tests.integration.visitor import Visitor, query
from tests.serving import Page, Server, free_port
from tests.socket_client import ConnectionRefused
from tests.unit.test_paths import HOSTILE

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
CODES = "grant:authorization_code"


@pytest.fixture
def visitor(server: Server, simulator: Simulator, valkey_url: str) -> Visitor:
    """Somebody new, whom the emptied store knows nothing of."""
    return Visitor(server.url, simulator)


@pytest.fixture
def second(server: Server, simulator: Simulator) -> Visitor:
    """Another browser."""
    return Visitor(server.url, simulator)


def decent(answer: requests.Response, status: int) -> None:
    """An error page for people: a sentence, a way on, the headers of every page, and nothing of our insides."""
    assert answer.status_code == status, answer.text
    assert "Log in again" in answer.text
    assert 'href="/login?next=' in answer.text
    assert "Traceback" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_login_leads_to_the_page_first_asked_for(visitor: Visitor) -> None:
    """A visitor without a login goes to the provider at once, and back to the page with its query."""
    url = visitor.begin("/jobs/list_spaces?again=x")
    assert url.startswith(f"{visitor.simulator.url}/authorize?")
    asked = query(url)
    assert asked["response_type"] == "code"
    assert asked["client_id"] == "a-client"
    assert asked["redirect_uri"] == f"{visitor.home}/redirect"
    assert asked["scope"]
    assert asked["code_challenge_method"] == "S256"
    answer = visitor.ask(visitor.allow(url))
    assert answer.headers["Location"] == "/jobs/list_spaces?again=x"
    person = visitor.simulator.people()[0]
    page = visitor.ask("/").text
    assert f"Authenticated as {person['displayName']} ({person['emails'][0]})" in page


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


def test_state_is_used_once(visitor: Visitor, simulator: Simulator) -> None:
    """The provider's answer counts once: the second time it is a 400 without a call to the provider."""
    callback = visitor.allow(visitor.begin())
    cookies = dict(visitor.cookies)
    assert visitor.ask(callback).status_code == 302
    decent(visitor.ask(callback), 400)
    decent(Visitor(visitor.home, simulator).ask(callback, cookies=cookies), 400)
    assert simulator.count(CODES) == 1


def test_state_is_used_once_by_parallel_requests(visitor: Visitor, simulator: Simulator) -> None:
    """Of ten identical answers at the same time one is taken."""
    callback = visitor.allow(visitor.begin())
    cookies = dict(visitor.cookies)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        browsers = [Visitor(visitor.home, simulator) for _ in range(10)]
        answers = list(pool.map(lambda browser: browser.ask(callback, cookies=cookies).status_code, browsers))
    assert sorted(answers) == [302] + [400] * 9
    assert simulator.count(CODES) == 1


def test_state_is_bound_to_the_browser(visitor: Visitor, second: Visitor, simulator: Simulator) -> None:
    """An answer from the login of another browser is a 400, with and without a login of one's own under way."""
    callback = visitor.allow(visitor.begin())
    decent(second.ask(callback), 400)
    second.begin()
    decent(second.ask(callback), 400)
    assert not second.session_id
    assert simulator.count(CODES) == 0
    assert visitor.ask(callback).status_code == 302


@pytest.mark.parametrize(
    "question",
    [
        "",
        "code=abc",
        "state=",
        "state=&code=abc",
        "state=short&code=abc",
        "state=%00%0d%0a&code=abc",
        "state=%ff%fe&code=abc",
        f"state={'A' * 43}&code=abc",
        f"state={'A' * 3500}&code=abc",
        "state=caf%C3%A9&code=abc",
        "state[]=a&code=abc",
        "error=access_denied",
        "error=%3Cscript%3Ealert(1)%3C/script%3E&state=x",
    ],
    ids=range(13),
)
def test_missing_and_senseless_states(visitor: Visitor, simulator: Simulator, question: str) -> None:
    """Without a state of ours the answer is a 400, shows nothing of the question, and the provider is not called."""
    visitor.begin()
    answer = visitor.ask(f"/redirect?{question}")
    decent(answer, 400)
    assert "alert(1)" not in answer.text
    assert simulator.count(CODES) == 0


def test_doubled_and_swapped_parameters(visitor: Visitor, simulator: Simulator) -> None:
    """A parameter that comes twice, or no code at all, is a 400 without a call to the provider."""
    changes: list[Callable[[dict[str, str]], str]] = [
        lambda asked: f"state={asked['state']}&{urlencode(asked)}",
        lambda asked: f"code=other&{urlencode(asked)}",
        lambda asked: urlencode({"state": asked["state"]}),
        lambda asked: urlencode({"state": asked["state"], "code": ""}),
        lambda asked: urlencode({"state": asked["state"][::-1], "code": asked["code"]}),
    ]
    for change in changes:
        asked = query(visitor.allow(visitor.begin()))
        decent(visitor.ask(f"/redirect?{change(asked)}"), 400)
    assert simulator.count(CODES) == 0


def test_a_code_of_another_login_is_refused(visitor: Visitor, second: Visitor, simulator: Simulator) -> None:
    """A code that was stolen from another login fails at the provider, since its PKCE verifier is another."""
    stolen = query(second.allow(second.begin()))["code"]
    state = query(visitor.begin())["state"]
    answer = visitor.ask(f"/redirect?{urlencode({'state': state, 'code': stolen})}")
    decent(answer, 400)
    assert stolen not in answer.text
    assert not visitor.logged_in()


def test_several_tabs_log_in_side_by_side(visitor: Visitor) -> None:
    """Five tabs of one browser begin a login each, answer in any order, and each ends on its own page."""
    begun = [visitor.begin(f"/jobs/list_spaces?tab={number}") for number in range(5)]
    for number in (3, 0, 4, 1, 2):
        answer = visitor.ask(visitor.allow(begun[number], user=number % 2))
        assert answer.headers.get("Location") == f"/jobs/list_spaces?tab={number}", answer.text
        assert visitor.logged_in()


def test_abandoned_logins_do_not_pile_up(visitor: Visitor) -> None:
    """A browser that begins logins without end keeps the cookies of the latest few, and these work."""
    urls = [visitor.begin() for _ in range(30)]
    assert len([name for name in dict(visitor.cookies) if name.startswith("frt_login_")]) <= 8
    assert visitor.ask(visitor.allow(urls[-1])).status_code == 302
    assert visitor.logged_in()


def test_the_redirect_address_is_configured(visitor: Visitor) -> None:
    """Forged host headers change neither the redirect_uri nor where visitors of another host are sent."""
    forged = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Forwarded-Proto": "https"}
    url = visitor.ask("/", headers=forged).headers["Location"]
    assert query(url)["redirect_uri"] == f"{visitor.home}/redirect"
    moved = visitor.ask("/jobs/x?a=b", headers={**forged, "Host": "evil.example"})
    assert moved.headers["Location"] == f"{visitor.home}/login?next=%2Fjobs%2Fx%3Fa%3Db&moved=1"


def test_visitors_by_another_name_of_the_host(visitor: Visitor) -> None:
    """Who comes to 127.0.0.1 is sent to the redirect URI's host first, where the cookie will be."""
    other = visitor.home.replace("localhost", "127.0.0.1")
    moved = visitor.ask(f"{other}/jobs/list_spaces")
    assert moved.headers["Location"].startswith(f"{visitor.home}/login?")
    assert "Set-Cookie" not in moved.headers
    url = visitor.begin(moved.headers["Location"])
    assert visitor.ask(visitor.allow(url)).headers["Location"] == "/jobs/list_spaces"
    assert visitor.logged_in()


def test_a_proxy_that_hides_the_host(visitor: Visitor) -> None:
    """Behind a proxy that sends another Host each visitor is moved once, not for ever."""
    headers = {"Host": "flask:5000"}
    moved = visitor.ask("/", headers=headers).headers["Location"]
    assert "/authorize?" in visitor.ask(moved, headers=headers).headers["Location"]


@pytest.mark.parametrize("target", [target for target in HOSTILE if target], ids=lambda target: ascii(target)[:40])
def test_login_leads_to_no_other_site(visitor: Visitor, target: str) -> None:
    """Whatever `next` says, the login ends on this server."""
    url = visitor.begin(f"/login?{urlencode({'next': target})}")
    assert visitor.ask(visitor.allow(url)).headers["Location"] == "/"


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
    question = urlencode({"error": error, "error_description": "<b>words</b>", "state": state})
    answer = visitor.ask(f"/redirect?{question}")
    decent(answer, 403)
    assert "words" not in answer.text
    assert "alert(1)" not in answer.text


@pytest.mark.parametrize("path", ["/access_token", "/people/me"])
@pytest.mark.parametrize(
    "fault", [{"status": 502}, {"cut": True}, {"status": 429, "body": "<h1>no</h1>"}, {"delay": 9.0}]
)
def test_a_failing_provider(visitor: Visitor, simulator: Simulator, path: str, fault: dict[str, object]) -> None:
    """Where the provider fails or is slow the visitor has a 503 page within 5 s, and may try again at once."""
    callback = visitor.allow(visitor.begin())
    simulator.fault(path, **fault)
    began = time.monotonic()
    answer = visitor.ask(callback)
    assert time.monotonic() - began < 5
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
                assert time.monotonic() - asked < 1
            for answer in waiting:
                decent(answer.result(), 503)
            assert time.monotonic() - began < 5.5


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
    simulator.turn(token_lifetime=2)
    visitor.log_in()
    time.sleep(2.1)
    simulator.fault("/access_token", delay=30.0, times=20)
    for _ in range(5):
        began = time.monotonic()
        assert visitor.logged_in()
        assert time.monotonic() - began < 1


def test_pages_keep_the_token_fresh(visitor: Visitor, simulator: Simulator) -> None:
    """Looking at pages from which jobs start refreshes a token that is about to end."""
    simulator.turn(token_lifetime=100)
    visitor.log_in()
    visitor.logged_in()
    time.sleep(0.5)
    assert simulator.count("grant:refresh_token") == 0
    simulator.turn(token_lifetime=2)
    visitor.log_in(path="/login")
    time.sleep(1.2)
    visitor.logged_in()
    deadline = time.monotonic() + 5
    while simulator.count("grant:refresh_token") == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert simulator.count("grant:refresh_token") == 1


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


def test_a_black_hole_keeps_nobody_waiting(start_server: Callable[..., Server], simulator: Simulator) -> None:
    """While the provider takes questions and answers none, a login is a 503 within 5 s, all else goes on at once."""
    server = start_server()
    visitor, other = Visitor(server.url, simulator), Visitor(server.url, simulator)
    # Each page asks for a refresh, which nobody waits for.
    simulator.turn(token_lifetime=2)
    visitor.log_in()
    page = server.page(visitor)
    run = page.start("lines", count=100_000, pause=0.02)
    page.wait_for_text(run, "3\n")
    time.sleep(2.1)
    callbacks = [other.allow(other.begin()) for _ in range(5)]
    simulator.fault("/", delay=60.0, times=1000)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        began = time.monotonic()
        waiting = [pool.submit(other.ask, callback) for callback in callbacks]
        for path in ("/", "/jobs/lines", f"/runs/{run}"):
            assert visitor.ask(path, timeout=3).status_code == 200
        again = server.page(visitor)
        assert again.watch(run)["ok"]
        again.wait_for_text(run, "3\n", 3)
        second = again.call("start_request", {"job": "silent"})
        assert second["ok"], second
        assert again.call("stop_request", {"run": run})["ok"]
        assert page.wait_for_end(run, 3)["status"] == "stopped"
        # All of that was done before the first login was given up.
        assert not any(each.done() for each in waiting)
        for answer in waiting:
            decent(answer.result(), 503)
        assert time.monotonic() - began < 5.5
    simulator.clear_faults()
    other.log_in()
    page.close()
    again.close()
