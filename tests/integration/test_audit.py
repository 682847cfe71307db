"""The audit record through the doors, and a log in which no name forges a line and no secret appears."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from app.audit import EVENTS
from tests.integration.simulator_fixture import Simulator
from tests.integration.visitor import Visitor
from tests.server_fixture import JOBS, SECRETS
from tests.serving import Page, Server
from tests.socket_client import SocketClient

TRAITOR = '''
from app.catalog import job

@job
def traitor(token):
    """Fail with the token in the error."""
    raise ValueError(f"Authorization: Bearer {token()}")

@job
def loud():
    """Fail with what would forge a line, colour a terminal, and fill a screen."""
    raise RuntimeError("\\x1b[31m\\n{}\\r" + "x" * 5000)
'''
FORGED = '{"logger": "app.audit", "event": "login", "user": "forged"}'


def _records(server: Server) -> list[dict[str, Any]]:
    """The log's, once the launcher is ready: each line is one object, whatever happened."""
    lines = server.log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def _audit(server: Server, event: str, count: int = 1, **fields: str) -> list[dict[str, Any]]:
    """The records of an event that have these fields; waits for them."""
    deadline = time.monotonic() + 10
    while True:
        found = [record for record in _records(server) if record["logger"] == "app.audit" and record["event"] == event]
        found = [record for record in found if fields.items() <= record.items()]
        if len(found) >= count:
            assert len(found) == count, found
            return found
        assert time.monotonic() < deadline, (event, fields, _records(server))
        time.sleep(0.05)


@pytest.fixture
def audited(start_server: Callable[..., Server]) -> Server:
    """A server whose log is JSON."""
    return start_server(LOG_FORMAT="json")


def test_the_record_of_a_visit(audited: Server, simulator: Simulator) -> None:
    """Login, start, stop, download and logout stand in the record, with who, what, which door and from where."""
    ann, me = Visitor(audited.url, simulator), simulator.people()[0]["id"]
    ann.headers["X-Real-IP"] = "203.0.113.9"
    ann.log_in()
    page = Page(audited.url, ann)
    run = page.start("lines", count=1000, pause=0.05)
    again = page.call("start_request", {"job": "lines", "params": {"count": 1}, "key": "k"})["run"]["id"]
    assert page.call("start_request", {"job": "lines", "params": {"count": 1}, "key": "k"})["run"]["id"] == again
    page.call("stop_request", {"run": run})
    page.wait_for_end(run)
    assert ann.ask(f"/runs/{run}/output").ok
    page.close()
    assert ann.ask("/logout", headers={"Sec-Fetch-Site": "same-origin"}).ok
    common = {"user": me, "address": "127.0.0.1"}
    assert _audit(audited, "login", **common, door="http:auth.redirect", forwarded="203.0.113.9")
    (started,) = _audit(audited, "start", **common, run=run, job="lines", door="socket:start_request")
    assert started["parameters"] == ["count", "pause"]
    assert _audit(audited, "start", run=again)
    assert _audit(audited, "stop", **common, run=run, job="lines", door="socket:stop_request")
    assert _audit(audited, "download", **common, run=run, job="lines")
    assert _audit(audited, "logout", **common, door="http:auth.logout")
    for record in _records(audited):
        if record["logger"] == "app.audit":
            extra = {"time", "level", "logger", "message", "node", "event", "door", "address", "forwarded"}
            assert set(record) <= extra | set(EVENTS[record["event"]])


def test_denials_are_recorded(audited: Server, simulator: Simulator) -> None:
    """Who is refused stands in the record: without a login, at a foreign run, from a foreign page, by a wrong login."""
    ann, bob = Visitor(audited.url, simulator), Visitor(audited.url, simulator)
    ann.log_in(0)
    bob.log_in(1)
    people = [person["id"] for person in simulator.people()]
    page, other = Page(audited.url, ann), Page(audited.url, bob)
    run = page.start("silent")
    page.wait_for_end(run)
    assert not other.call("watch", {"run": run})["ok"]
    assert not other.call("stop_request", {"run": run})["ok"]
    assert bob.ask(f"/runs/{run}/output").status_code == 404
    foreign = {"reason": "foreign_run", "user": people[1], "run": run}
    assert _audit(audited, "denied", **foreign, door="socket:watch", detail="watch")
    assert _audit(audited, "denied", **foreign, door="socket:stop_request", detail="stop")
    assert [each["door"] for each in _audit(audited, "denied", **foreign, detail="download")]
    page.close()
    other.close()
    with pytest.raises(Exception, match="400"):
        SocketClient(audited.url, f"frt_session={ann.session_id}", print, origin="https://evil.example")
    assert _audit(audited, "denied", reason="origin", detail="https://evil.example", door="socket:connect")
    nobody = Visitor(audited.url, simulator)
    assert nobody.ask("/jobs/lines").status_code == 302
    assert _audit(audited, "denied", reason="login_required", door="http:views.job")
    assert nobody.ask("/redirect?state=x&code=y").status_code == 400
    assert _audit(audited, "denied", reason="login_state", door="http:auth.redirect")
    nobody.ask(nobody.allow(nobody.begin(), decision="deny"))
    assert _audit(audited, "denied", reason="provider", detail="access_denied")
    ann.ask("/logout", headers={"Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/\x9b31m"})
    assert _audit(audited, "denied", reason="cross_site", user=people[0])
    assert ann.logged_in()


def test_floods_of_denials_are_one_record(audited: Server, simulator: Simulator) -> None:
    """Hundreds of refused requests of one visitor, each with another name in it, make one record."""
    nobody = Visitor(audited.url, simulator)
    for number in range(300):
        assert nobody.ask(f"/redirect?state={number}&code=y").status_code == 400
    assert _audit(audited, "denied", reason="login_state")
    assert len(audited.log.read_text()) < 10_000


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_name_forges_a_line(start_server: Callable[..., Server], tmp_path: Path, style: str) -> None:
    """Hostile headers, paths, parameters, job names and errors leave a log of printable lines, none of them forged."""
    folder = tmp_path / "traitors"
    folder.mkdir()
    (folder / "traitor.py").write_text(TRAITOR.replace("{}", FORGED.replace('"', '\\"')))
    server = start_server(LOG_FORMAT=style, JOBS=f"jobs,{JOBS},{folder}")
    person = server.log_in()
    # ESC itself never gets here: gunicorn refuses such a header.
    hostile = "\x9b31m\xad" + FORGED
    page = server.page(person)
    assert not page.call("start_request", {"job": f"x\n{FORGED}"})["ok"]
    assert not page.call("start_request", {"job": "lines", "params": {f"x\n{FORGED}": "\x1b[2J"}})["ok"]
    assert page.wait_for_end(page.start("loud"))["status"] == "failed"
    for header in ("Origin", "X-Real-IP", "Referer", "User-Agent"):
        requests.get(f"{server.url}/socket.io/?EIO=4&transport=polling", headers={header: hostile}, timeout=10)
    requests.get(f"{server.url}/%0a%1b[31m{FORGED}", timeout=10)
    requests.get(f"{server.url}/redirect?error=%0a%1b[31m&state=%0a{FORGED}", timeout=10)
    person.get(f"{server.url}/logout", headers={"Sec-Fetch-Site": "cross-site", "Referer": hostile}, timeout=10)
    page.close()
    server.process.terminate()
    server.process.wait(15)
    said = server.log.read_text(encoding="utf-8")
    assert "cross_site" in said
    for line in said.split("\n"):
        assert line == "" or line.isprintable(), line
        assert not line.startswith(FORGED)
    if style == "json":
        assert not [record for record in _records(server) if record.get("user") == "forged"]


def test_no_secret_is_in_the_log(start_server: Callable[..., Server], simulator: Simulator, tmp_path: Path) -> None:
    """After a login, a start, a job that fails with its token, and refreshes that fail, the log knows no secret."""
    folder = tmp_path / "traitors"
    folder.mkdir()
    (folder / "traitor.py").write_text(TRAITOR)
    server = start_server(LOG_FORMAT="json", JOBS=f"jobs,{folder}", REVOCATION_URL=f"{simulator.url}/revoke")
    simulator.turn(token_lifetime=4)
    visitor = Visitor(server.url, simulator)
    callback = visitor.allow(visitor.begin())
    visitor.ask(callback)
    visitor.ask(callback)
    secrets = [*simulator.tokens(), *simulator.tokens("refresh"), *callback.partition("?")[2].split("=")[1:]]
    page = Page(server.url, visitor)
    run = page.start("traitor")
    assert page.wait_for_end(run)["status"] == "failed"
    assert "Bearer *****" in page.text(run)
    assert "*****" in page.statuses[run]["message"]
    for fault in ({"status": 500}, {"body": '{"access_token": 5}'}, {"status": 400, "body": '{"error": "x"}'}):
        simulator.fault("/access_token", times=3, **fault)
        time.sleep(1.5)
        visitor.ask("/")
        page.call("start_request", {"job": "traitor"})
    secrets += [*simulator.tokens(), *simulator.tokens("refresh")]
    simulator.clear_faults()
    visitor.ask("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    page.close()
    server.process.terminate()
    server.process.wait(15)
    said = server.log.read_text()
    assert _audit(server, "login")
    assert any(record["logger"] == "app.provider" for record in _records(server))
    found = [secret for secret in [*secrets, SECRETS["CLIENT_SECRET"], visitor.session_id] if secret and secret in said]
    assert len(secrets) >= 4
    assert not found
