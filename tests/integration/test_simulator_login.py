"""The Webex stand-in's login: the authorize page, codes and PKCE, tokens and their end, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session

from tests.integration.simulator_fixture import Simulator

REDIRECT = "http://localhost:5000/redirect"
QUERY = {
    "response_type": "code",
    "client_id": "C1",
    "redirect_uri": REDIRECT,
    "scope": "spark:all spark:kms",
    "state": "a b&c",
}


# The pair of RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def _url(simulator: Simulator, **changed: str | None) -> str:
    query = {name: value for name, value in {**QUERY, **changed}.items() if value is not None}
    return f"{simulator.url}/authorize?{urlencode(query)}"


def _sent_back(location: str) -> dict[str, str]:
    assert location.startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def _code(simulator: Simulator, **changed: str) -> str:
    return _sent_back(simulator.answer(_url(simulator, **changed)))["code"]


def _redeem(simulator: Simulator, good: str, /, **changed: str) -> requests.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": "C1",
        "client_secret": "S1",
        "code": good,
        "redirect_uri": REDIRECT,
    }
    return requests.post(f"{simulator.url}/access_token", data={**form, **changed}, timeout=10)


def _refresh(simulator: Simulator, token: str, client: str = "C1") -> requests.Response:
    form = {"grant_type": "refresh_token", "client_id": client, "client_secret": "S1", "refresh_token": token}
    return requests.post(f"{simulator.url}/access_token", data=form, timeout=10)


def _me(simulator: Simulator, token: str) -> requests.Response:
    return requests.get(f"{simulator.url}/people/me", headers={"Authorization": f"Bearer {token}"}, timeout=10)


def test_the_page_offers_two_people_allow_and_deny(simulator: Simulator) -> None:
    """The authorize page is a form without scripts; the hinted person is chosen; hostile text stays text."""
    url = _url(simulator, scope="<script>alert(1)</script>", login_hint="user2@example.com")
    answer = requests.get(url, timeout=10)
    assert re.findall(r'value="(user\d@example.com)" ?(checked)?', answer.text) == [
        ("user1@example.com", ""),
        ("user2@example.com", "checked"),
    ]
    assert re.findall(r'name="decision" value="(\w+)"', answer.text) == ["allow", "deny"]
    assert "<script" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "form-action" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": None},
        {"client_id": ""},
        {"redirect_uri": None},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "ftp://localhost/redirect"},
        {"redirect_uri": "/redirect"},
        {"redirect_uri": "http://"},
        {"redirect_uri": "http://[/"},
        {"redirect_uri": REDIRECT + "#here"},
        {"state": "x" * 5000},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unsafe_question_is_not_redirected(simulator: Simulator, wrong: dict[str, Any], method: str) -> None:
    """Without a client or a safe redirect_uri the visitor gets a page that says so, and goes nowhere."""
    form = {"user": "user1@example.com", "decision": "allow"}
    answer = requests.request(method, _url(simulator, **wrong), data=form, allow_redirects=False, timeout=10)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "This login cannot go on" in answer.text


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": " "}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({**PKCE, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
        ({**PKCE, "code_challenge": "short"}, "invalid_request"),
    ],
)
def test_other_mistakes_are_told_to_the_client(simulator: Simulator, wrong: dict[str, Any], error: str) -> None:
    """A question that is wrong in itself sends the visitor back with an OAuth error code and the state."""
    answer = requests.get(_url(simulator, **wrong), allow_redirects=False, timeout=10)
    assert answer.status_code == 302
    assert _sent_back(answer.headers["Location"]) == {"error": error, "state": "a b&c"}


def test_consent_and_denial(simulator: Simulator) -> None:
    """Allow sends back a code and the very state, Deny `access_denied`; a redirect_uri keeps its own query."""
    assert set(_sent_back(simulator.answer(_url(simulator)))) == {"code", "state"}
    denied = _sent_back(simulator.answer(_url(simulator, redirect_uri=REDIRECT + "?kept=1"), decision="deny"))
    assert denied == {"error": "access_denied", "state": "a b&c", "kept": "1"}


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"user": "user1@example.com"},
        {"user": "user1@example.com", "decision": "perhaps"},
        {"user": "nobody@example.com", "decision": "allow"},
        {"decision": "allow"},
        {"user": ["user1@example.com", "user2@example.com"], "decision": "allow"},
    ],
)
def test_a_wrong_answer_gives_no_code(simulator: Simulator, form: dict[str, Any]) -> None:
    """A consent form that names nobody, two people, or no decision ends on a page that says so."""
    answer = requests.post(_url(simulator), data=form, allow_redirects=False, timeout=10)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_an_independent_client_logs_in(simulator: Simulator, method: str) -> None:
    """Authlib's client gets tokens with PKCE, sending its secret either way, and refreshes them."""
    with OAuth2Session(
        "C1",
        "S+1%/:",
        redirect_uri=REDIRECT,
        scope="spark:all",
        code_challenge_method="S256",
        token_endpoint_auth_method=method,
    ) as client:
        url, state = client.create_authorization_url(f"{simulator.url}/authorize", code_verifier=VERIFIER)
        back = simulator.answer(url, user=1)
        endpoint = f"{simulator.url}/access_token"
        token = client.fetch_token(endpoint, authorization_response=back, state=state, code_verifier=VERIFIER)
        assert token["token_type"] == "Bearer"
        assert (token["expires_in"], token["refresh_token_expires_in"]) == (1209599, 7775999)
        assert min(len(token["access_token"]), len(token["refresh_token"])) >= 40
        assert client.get(f"{simulator.url}/people/me").json()["displayName"] == "Second User"
        newer = client.refresh_token(endpoint, refresh_token=token["refresh_token"])
        assert newer["access_token"] != token["access_token"]


@pytest.mark.parametrize(
    ("question", "form", "status"),
    [
        (PKCE, {}, 400),
        (PKCE, {"code_verifier": VERIFIER[:-1] + "x"}, 400),
        (PKCE, {"code_verifier": "short"}, 400),
        (PKCE, {"code_verifier": CHALLENGE}, 400),
        ({}, {"code_verifier": VERIFIER}, 400),
        ({}, {"redirect_uri": REDIRECT + "/"}, 400),
        ({}, {"redirect_uri": ""}, 400),
        ({}, {"client_id": "C2"}, 400),
        ({}, {"client_id": ""}, 401),
        ({}, {"client_secret": ""}, 401),
        ({}, {"code": "unknown"}, 400),
        ({}, {"grant_type": "password"}, 400),
    ],
)
def test_a_code_is_redeemed_by_its_own_client_alone(
    simulator: Simulator, question: dict[str, str], form: dict[str, str], status: int
) -> None:
    """A wrong verifier, redirect_uri, client, secret or grant gives Webex' error body and no token."""
    answer = _redeem(simulator, _code(simulator, **question), **form)
    assert answer.status_code == status
    assert set(answer.json()) == {"message", "errors", "trackingId"}
    assert simulator.tokens() == []


def test_pkce_with_the_published_pair(simulator: Simulator) -> None:
    """The verifier and challenge of RFC 7636 fit each other."""
    assert _redeem(simulator, _code(simulator, **PKCE), code_verifier=VERIFIER).status_code == 200


def test_a_code_works_once(simulator: Simulator) -> None:
    """A code that comes twice is refused, and the tokens that it gave end."""
    code = _code(simulator)
    token = _redeem(simulator, code).json()["access_token"]
    assert _me(simulator, token).status_code == 200
    assert _redeem(simulator, code).status_code == 400
    assert _me(simulator, token).status_code == 401


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {"grant_type": "authorization_code"}}, 415),
        ({"data": b"%00=%ff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 401),
        ({"data": [("client_id", "a"), ("client_id", "b")]}, 400),
        ({"data": {"client_id": "a"}, "headers": {"Authorization": "Basic !"}}, 401),
        ({"data": {"client_id": "a"}, "auth": ("b", "secret")}, 401),
        ({"data": {"client_id": "a" * 100_000}}, 413),
    ],
)
def test_a_malformed_token_request(simulator: Simulator, sent: dict[str, Any], status: int) -> None:
    """JSON, doubled fields, a broken header, two clients, a huge body: each is refused as Webex words errors."""
    answer = requests.post(f"{simulator.url}/access_token", timeout=10, **sent)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["description"]


def test_a_refresh_rotates_unless_told_otherwise(simulator: Simulator) -> None:
    """With rotation the old refresh token ends; without, it comes back unchanged; no other client may use it."""
    first = _redeem(simulator, _code(simulator)).json()
    assert _refresh(simulator, first["refresh_token"], client="C2").status_code == 400
    second = _refresh(simulator, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert _refresh(simulator, first["refresh_token"]).status_code == 400
    simulator.turn(rotate=False)
    third = _refresh(simulator, second["refresh_token"]).json()
    assert third["refresh_token"] == second["refresh_token"]
    assert 0 < third["refresh_token_expires_in"] < 7775999
    assert _me(simulator, third["access_token"]).status_code == 200
    assert simulator.count("grant:refresh_token") == 4


def test_tokens_end(simulator: Simulator) -> None:
    """An expired access token answers 401 and a refresh heals it; an expired refresh token does not refresh."""
    tokens = simulator.new_tokens(client_id="C1")
    simulator.expire("access")
    refused = _me(simulator, tokens["access_token"])
    assert refused.status_code == 401
    assert refused.json()["message"].startswith("The request requires a valid access token")
    newer = _refresh(simulator, tokens["refresh_token"]).json()
    assert _me(simulator, newer["access_token"]).status_code == 200
    simulator.expire("refresh")
    assert _refresh(simulator, newer["refresh_token"]).status_code == 400


def test_short_lives_are_real(simulator: Simulator) -> None:
    """The knob for the life of access tokens is told in `expires_in`, and is kept."""
    simulator.turn(token_lifetime=1, bare_replies=True)
    token = _redeem(simulator, _code(simulator)).json()
    assert token["expires_in"] == 1
    assert set(token) == {"access_token", "expires_in", "refresh_token", "refresh_token_expires_in"}
    while _me(simulator, token["access_token"]).ok:
        pass
    assert simulator.tokens() == []


def test_revocation(simulator: Simulator) -> None:
    """Revoking a refresh token ends its access tokens too; foreign and unknown tokens are answered alike and stay."""
    tokens = simulator.new_tokens(client_id="C1")
    client = {"client_id": "C1", "client_secret": "S1"}

    def revoke(**form: str) -> int:
        return requests.post(f"{simulator.url}/revoke", data={**client, **form}, timeout=10).status_code

    assert revoke(token="unknown") == 200
    assert revoke(token=tokens["refresh_token"], client_id="C2") == 200
    assert simulator.tokens() == [tokens["access_token"]]
    assert revoke() == 400
    assert revoke(token="x", client_secret="") == 401
    assert revoke(token=tokens["refresh_token"]) == 200
    assert (simulator.tokens(), simulator.tokens("refresh")) == ([], [])


def test_the_consent_page_works_below_a_prefix(start_simulator: Callable[..., Simulator]) -> None:
    """The form names no address, so behind a proxy it goes back to wherever the browser got it."""
    simulator = start_simulator("--public-url", "http://localhost:5000/webex/v1")
    form = re.findall(r"<form[^>]*>", requests.get(_url(simulator), timeout=10).text)
    assert form == ['<form method="post">']
