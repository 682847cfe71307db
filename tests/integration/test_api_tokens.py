"""Personal access tokens: made and revoked on the page, shown once, hashed in the store, good for their scopes."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
import requests

from tests.api import SECRET, Api, make_token
from tests.integration.store_fixture import dump
from tests.serving import Server
from tests.waiting import wait_until

SEEN = ("/channels", "/stream", "POST /set_stream")
CHANNELS = (*SEEN, "PUT /channels/X", "PATCH /channels", "DELETE /channels/X")


def _page(server: Server, person: requests.Session) -> str:
    return person.get(f"{server.url}/tokens", timeout=20).text


def test_a_token_is_shown_once_and_stored_as_a_hash(
    redis_client: Any, server: Server, person: requests.Session
) -> None:
    """The page that makes it shows it, no other does; the store has its hash and nobody's secret."""
    secret = make_token(server.url, person, "read", name="shown once <b>")
    page = _page(server, person)
    assert "shown once &lt;b&gt;" in page
    assert secret not in page
    assert "never" in page
    digest = hashlib.sha256(secret.encode()).hexdigest()
    assert redis_client.exists(f"api:{digest}")
    assert 80_000 < redis_client.ttl(f"api:{digest}") <= 86_400
    assert secret.encode() not in dump(redis_client)
    assert secret not in server.log.read_text()


def test_a_token_acts_as_its_user(server: Server, person: requests.Session) -> None:
    """It says whose it is and what for; the page says when it was used."""
    api = Api(server.url, make_token(server.url, person, "read", "run", name="works"))
    me = api.get("/me")
    assert me["user"] in _page(server, person)
    assert (me["scopes"], me["token"]) == (["read", "run"], "works")
    row = next(row for row in _page(server, person).split("<tr") if "works" in row)
    assert "never" not in row


def test_a_revoked_token_is_none(server: Server, person: requests.Session, api: Api) -> None:
    """After Revoke it opens nothing, and what it watches ends; another person cannot revoke it."""
    run = api.start("lines", count=100_000, pause=0.05)
    stream = api.stream(f"/runs/{run}/output.ndjson?heartbeat=1")
    records = stream.records()
    assert next(records)["type"] == "begin"
    token = re.findall(r'data-token="([^"]+)"', _page(server, person))[0]
    foreign = server.log_in(1).post(f"{server.url}/tokens/{token}/revoke", timeout=20)
    assert foreign.status_code == 404
    assert api.ask("/me").ok
    assert person.post(f"{server.url}/tokens/{token}/revoke", timeout=20).ok
    api.wrong(401, "login_required", "/me")
    assert [each["type"] for each in records][-1] != "end"
    Api(server.url, make_token(server.url, person)).stop(run)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (("read",), {*SEEN, "/me", "/jobs", "/runs", "/runs/RUN", "/runs/RUN/output", "/runs/RUN/search?text=0"}),
        (("run",), {"/me", "POST /runs", "POST /runs/RUN/input"}),
        (("stop",), {"/me", "POST /runs/RUN/stop", "POST /runs/RUN/kill"}),
        (("code",), {"/me"}),
        (("channels",), {"/me", *CHANNELS}),
    ],
)
def test_a_token_opens_what_its_scopes_name(
    server: Server, person: requests.Session, api: Api, scopes: tuple[str, ...], allowed: set[str]
) -> None:
    """Each door but the scope's answers 403 and names what is lacking."""
    run = api.start("lines", count=1)
    api.wait_end(run)
    token = Api(server.url, make_token(server.url, person, *scopes))
    doors = ["/me", "/jobs", "/runs", "/runs/RUN", "/runs/RUN/output", "/runs/RUN/search?text=0", "POST /runs"]
    for door in [*doors, *CHANNELS, "POST /runs/RUN/input", "POST /runs/RUN/stop", "POST /runs/RUN/kill"]:
        method, _, path = door.rpartition(" ")
        body = {"line": "x"} if path.endswith("input") else {"job": "silent"}
        answer = token.ask(
            path.replace("RUN", run), method or "GET", **({"json": body} if path.endswith(("input", "/runs")) else {})
        )
        lacking = answer.status_code == 403 and "lacks the scope" in answer.text
        assert lacking == (door not in allowed), (door, answer.text)


def test_typed_code_needs_a_scope_of_its_own(server: Server, person: requests.Session) -> None:
    """Who may start runs by a token may not so start typed code."""
    token = Api(server.url, make_token(server.url, person, "read", "run"))
    body = {"job": "code", "params": {"source": "print(1)"}}
    told = token.wrong(403, "forbidden", "/runs", method="POST", json=body)
    assert "`code`" in told["detail"]


@pytest.mark.parametrize("secret", ["", "frt_", "frt_" + "A" * 43, "x" * 5000, "frt_" + "é" * 43, "Bearer"])
def test_what_is_no_token_opens_nothing(server: Server, person: requests.Session, secret: str) -> None:
    """A wrong token is refused, also beside a good cookie; another scheme than Bearer is not ours to judge."""
    wrong = Api(server.url, person=person)
    wrong.headers = {"Authorization": f"Bearer {secret}".encode().decode("latin-1")}
    answer = wrong.ask("/me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    wrong.headers = {"Authorization": "Basic eDp5"}
    assert wrong.get("/me")["scopes"] is None


def test_tokens_open_no_page_and_make_no_tokens(server: Server, api: Api) -> None:
    """A token is for programs: pages want a login, the page of tokens first of all."""
    for method, path in [("GET", "/"), ("GET", "/tokens"), ("POST", "/tokens"), ("POST", "/tokens/x/revoke")]:
        answer = requests.request(
            method, server.url + path, headers=api.headers, data={}, timeout=20, allow_redirects=False
        )
        assert answer.status_code == 302, (path, answer.status_code)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost"]
)
def test_another_sites_page_changes_nothing(server: Server, person: requests.Session, origin: str) -> None:
    """With the cookie, what changes something is refused to other origins; a token may come from any."""
    cookie = Api(server.url, person=person)
    body = {"json": {"job": "silent"}, "headers": {"Origin": origin}}
    told = cookie.wrong(403, "forbidden", "/runs", method="POST", **body)
    assert "Another site" in told["detail"]
    page = person.post(
        f"{server.url}/tokens", data={"name": "x", "days": 1, "scope": "run"}, headers={"Origin": origin}, timeout=20
    )
    assert page.status_code == 403
    assert not SECRET.search(page.text)
    token = Api(server.url, make_token(server.url, person, "run"))
    assert token.ask("/runs", "POST", **body).status_code == 201


def test_our_own_page_may(server: Server, person: requests.Session) -> None:
    """With the cookie, our origin may start, or a program that says nothing of one; a foreign page may not."""
    cookie = Api(server.url, person=person)
    for headers, status in [
        ({"Origin": server.url}, 201),
        ({}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ]:
        assert cookie.ask("/runs", "POST", json={"job": "silent"}, headers=headers).status_code == status, headers


@pytest.mark.parametrize(
    "form",
    [
        {"name": "", "days": "30", "scope": "read"},
        {"name": "x" * 61, "days": "30", "scope": "read"},
        {"name": "a\nb", "days": "30", "scope": "read"},
        {"name": "x", "days": "30"},
        {"name": "x", "days": "30", "scope": "everything"},
        {"name": "x", "days": "31", "scope": "read"},
        {"name": "x", "days": "-1", "scope": "read"},
        {"name": "x", "days": "9" * 5000, "scope": "read"},
        {},
    ],
)
def test_a_wrong_form_makes_no_token(server: Server, person: requests.Session, form: dict[str, str]) -> None:
    """A name, a scope or a time that cannot be is refused with a sentence."""
    answer = person.post(f"{server.url}/tokens", data=form, timeout=20)
    assert answer.status_code == 400
    assert not SECRET.search(answer.text)


def test_a_jobs_access_must_still_be_there(server: Server, person: requests.Session, api: Api) -> None:
    """After a logout a token starts what needs no access at the provider; what needs it is refused, and says why."""
    api.wait_end(api.start("who"))
    assert person.post(f"{server.url}/logout", headers={"Sec-Fetch-Site": "same-origin"}, timeout=20).ok
    before = len(api.get("/runs")["runs"])
    told = api.wrong(401, "login_again", "/runs", method="POST", json={"job": "who"})
    assert "your own access" in told["detail"]
    assert len(api.get("/runs")["runs"]) == before
    api.start("silent")


def test_an_ended_login_ends_its_streams(server: Server, person: requests.Session, api: Api) -> None:
    """A stream that came by the cookie ends with the logout; one that came by a token goes on."""
    run = api.start("lines", count=100_000, pause=0.05)
    by_cookie = Api(server.url, person=person).stream(f"/runs/{run}/output.sse").events()
    by_token = api.stream(f"/runs/{run}/output.sse").events()
    assert next(by_cookie)["event"] == next(by_token)["event"] == "begin"
    assert person.post(f"{server.url}/logout", headers={"Sec-Fetch-Site": "same-origin"}, timeout=20).ok
    assert [each.get("event") for each in by_cookie][-1:] != ["end"]
    assert next(by_token)
    api.stop(run)
    assert [each["event"] for each in by_token][-1] == "end"


def test_there_is_an_end_to_tokens(server: Server) -> None:
    """The fifty-first token is refused, and tells what to do."""
    person = server.log_in(1)
    while "You have 50 tokens" not in (
        person.post(f"{server.url}/tokens", data={"name": "one of many", "days": 1, "scope": "read"}, timeout=20).text
    ):
        assert _page(server, person).count("one of many") <= 2 * 50
    rows = re.findall(r'data-token="([^"]+)"', _page(server, person))
    assert len(rows) == 50
    for each in rows:
        person.post(f"{server.url}/tokens/{each}/revoke", timeout=20)
    wait_until(lambda: "You have no tokens" in _page(server, person))
