"""Login and logout through the product's own addresses, with the stand-in as provider."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from tests.integration.simulator_fixture import Simulator
from tests.integration.visitor import Visitor, decent, query
from tests.unit.test_paths import HOSTILE

CODES = "grant:authorization_code"


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
