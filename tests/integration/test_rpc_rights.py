"""Who may call what by JSON-RPC: logins, tokens, scopes, other people's runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from app.rights import DOORS
from tests.api import Api
from tests.rpc import ECHO, NewToken, Rpc, finish
from tests.serving import Server
from tests.waiting import wait_until

METHODS = [door.removeprefix("rpc:") for door in DOORS if door.startswith("rpc:")]


def test_nobody_calls_without_a_login(server: Server) -> None:
    """No login, a wrong token: refused before anything is read."""
    for token in ("", "frt_" + "A" * 43):
        answer = Rpc(server.url, token).send(ECHO)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["error"]["code"] == -32001


def test_a_session_calls_from_our_pages_alone(server: Server, person: requests.Session, new_token: NewToken) -> None:
    """A login's cookie serves, but not for a page of another origin; with a token that makes no difference."""
    cookie, token = Rpc(server.url, person=person), Rpc(server.url, new_token(server.url, person, "read"))
    assert cookie.call("reverse", "abc") == "cba"
    assert cookie.send(ECHO, headers={"Origin": server.url}).ok
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = cookie.send(ECHO, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, -32003)
        assert token.send(ECHO, headers=headers).ok


ALWAYS = {"echo", "reverse", "uppercase", "lowercase"}
SCOPES = {
    "read": {"jobs.list", "runs.status", "runs.output", "get_result"},
    "run": {"runs.start", "celery_echo"},
    "stop": {"runs.stop"},
    "code": set[str](),
    "channels": set[str](),
}
PARAMS: dict[str, Any] = {
    **{way: ["text"] for way in ALWAYS},
    "jobs.list": [],
    "runs.start": ["silent"],
    "celery_echo": ["echo", "text"],
}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_opens_what_its_scopes_name(
    server: Server, person: requests.Session, scope: str, new_token: NewToken
) -> None:
    """Each method but the scope's is refused, also within a batch, and the error names what is lacking."""
    run = Api(server.url, new_token(server.url, person)).start("silent")
    rpc = Rpc(server.url, new_token(server.url, person, scope))
    calls = [
        {"jsonrpc": "2.0", "id": method, "method": method, "params": PARAMS.get(method, [run])} for method in METHODS
    ]
    for answer in rpc.send(json.dumps(calls)).json():
        lacking = answer.get("error", {}).get("code") == -32003
        assert lacking == (answer["id"] not in ALWAYS | SCOPES[scope]), answer
        assert not lacking or "lacks the scope" in answer["error"]["message"]


def test_another_persons_run_is_unknown(server: Server, rpc: Rpc, new_token: NewToken) -> None:
    """A foreign run answers like none at all, by each method, for tokens and for sessions."""
    run = rpc.call("runs.start", "lines", {"count": 100_000, "pause": 0.05})["id"]
    stranger = server.log_in(1)
    for other in (Rpc(server.url, new_token(server.url, stranger)), Rpc(server.url, person=stranger)):
        for method in ("runs.status", "runs.output", "runs.stop", "get_result"):
            told = {json.dumps(other.wrong(-32004, "not_found", method, each)) for each in (run, "A" * 22)}
            assert len(told) == 1
    assert rpc.call("runs.status", run)["status"] == "running"
    rpc.call("runs.stop", run)
    finish(rpc, run)
    # It is a run of the caller's, but no task.
    rpc.wrong(-32004, "not_found", "get_result", run)


def test_typed_code_needs_a_scope_of_its_own(server: Server, person: requests.Session, new_token: NewToken) -> None:
    """As at the HTTP API, who may start runs may not so start typed code."""
    rpc = Rpc(server.url, new_token(server.url, person, "run"))
    error = rpc.wrong(-32003, "forbidden", "runs.start", "code", {"source": "print(1)"})
    assert "`code`" in error["message"]


def test_a_jobs_access_must_still_be_there(server: Server, person: requests.Session, new_token: NewToken) -> None:
    """After a logout a token starts no job that needs its user's own access at the provider."""
    rpc = Rpc(server.url, new_token(server.url, person))
    assert person.post(f"{server.url}/logout", headers={"Sec-Fetch-Site": "same-origin"}, timeout=20).ok
    assert "your own access" in rpc.wrong(-32002, "login_again", "runs.start", "who")["message"]


def test_the_audit_record_names_the_method(server: Server, rpc: Rpc) -> None:
    """A start by JSON-RPC is a start by its method's door."""
    run = rpc.call("runs.start", "silent")["id"]
    wait_until(lambda: any(run in line and "rpc:runs.start" in line for line in server.log.read_text().splitlines()))
