"""The HTTP API's calls: jobs, Start, runs, Stop, and what happens to wrong, huge, late, repeated and hostile ones."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from app.api_models import JobInfo, MatchInfo, RunInfo
from app.found import Match
from app.model import Run, Status, User
from tests.api import Api, make_token
from tests.serving import Page, Server
from tests.waiting import wait_until

JSON = {"Content-Type": "application/json"}


def test_jobs_come_with_their_schema(api: Api) -> None:
    """The list has each job with the JSON Schema of its parameters, and one job alone is the same."""
    jobs = {each["name"]: each for each in api.get("/jobs")["jobs"]}
    assert {"list_spaces", "count", "lines"} <= set(jobs)
    assert set(jobs["lines"]) == set(JobInfo.model_fields)
    assert jobs["lines"]["parameters"]["properties"]["count"]["type"] == "integer"
    assert (jobs["who"]["needs_token"], jobs["lines"]["needs_token"]) == (True, False)
    assert api.get("/jobs/lines") == jobs["lines"]
    api.wrong(404, "not_found", "/jobs/nothing")


def test_a_run_from_start_to_end(api: Api) -> None:
    """Start answers 201 with the run and its address; its status follows it to the end; its output is complete."""
    answer = api.ask("/runs", "POST", json={"job": "lines", "params": {"count": 3}})
    assert answer.status_code == 201
    run = answer.json()
    assert set(run) == set(RunInfo.model_fields)
    assert (
        api.http.get(api.home + answer.headers["Location"], headers=api.headers, timeout=20).json()["id"] == run["id"]
    )
    ended = api.wait_end(run["id"])
    assert (ended["status"], ended["exit_code"], ended["position"]) == ("succeeded", 0, 6)
    assert api.output(run["id"]) == b"0\n1\n2\n"


def test_the_models_are_what_is_sent() -> None:
    """The description's shapes have the very fields of what is sent."""
    run = Run("r", "job", "Job", User("ann", "Ann", ""), Status.RUNNING, 0.0, "thread")
    assert set(RunInfo.model_fields) == set(run.as_dict())
    assert set(MatchInfo.model_fields) == set(Match.__dataclass_fields__)


def test_wrong_parameters_are_told_by_field(api: Api) -> None:
    """As on the page, each wrong parameter has its sentence."""
    body = {"job": "lines", "params": {"count": "many", "colour": 1}}
    wrong = api.wrong(422, "invalid_parameters", "/runs", method="POST", json=body)
    assert set(wrong["fields"]) == {"count", "colour"}


def test_the_same_key_is_the_same_run(api: Api) -> None:
    """A start that is sent again with its key starts nothing; another start with that key is refused."""
    before = {each["id"] for each in api.get("/runs")["runs"]}
    runs = {api.start("silent", key="once") for _ in range(3)} | {api.start("silent", key='"once"')}
    assert len(runs) == 1
    repeated = {"json": {"job": "lines", "params": {}}, "headers": {"Idempotency-Key": "once"}}
    api.wrong(422, "key_reused", "/runs", method="POST", **repeated)
    too_long = {"json": {"job": "silent"}, "headers": {"Idempotency-Key": "x" * 129}}
    api.wrong(400, "bad_request", "/runs", method="POST", **too_long)
    assert {each["id"] for each in api.get("/runs")["runs"]} - before == runs


def test_runs_by_pages_and_filters(server: Server) -> None:
    """Runs come newest first, a page at a time, of one job or of some statuses, each once."""
    api = Api(server.url, make_token(server.url, server.log_in(1)))
    mine = [api.start("silent") for _ in range(5)]
    failed = api.start("ends", how="exit 3")
    for each in [*mine, failed]:
        api.wait_end(each)
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = api.get("/runs", params={"limit": 2, "job": "silent", **({"cursor": cursor} if cursor else {})})
        assert len(page["runs"]) <= 2
        found += [each["id"] for each in page["runs"]]
        cursor = page["next"]
    assert found[:5] == mine[::-1]
    some = api.get("/runs?status=failed&status=killed")["runs"]
    assert failed in [each["id"] for each in some]
    assert {each["status"] for each in some} == {"failed"}
    api.wrong(400, "bad_request", "/runs?status=asleep")
    api.wrong(400, "bad_request", "/runs?cursor=%00")
    assert api.get("/runs?cursor=f_gAAAAAAAA")["next"] is None


def test_stop_ends_a_run_and_may_come_again(api: Api) -> None:
    """Stop asks, repeated and late ones change nothing, and a thread cannot be killed."""
    run = api.start("lines", count=100_000, pause=0.05)
    api.wrong(403, "forbidden", f"/runs/{run}/kill", method="POST")
    assert api.post(f"/runs/{run}/stop")["status"] in ("running", "stopping", "stopped")
    assert api.wait_end(run)["status"] == "stopped"
    assert api.post(f"/runs/{run}/stop")["status"] == "stopped"
    api.wrong(409, "not_waiting", f"/runs/{run}/input", method="POST", json={"line": "late"})


def test_search_finds_lines(api: Api) -> None:
    """A search by text or pattern answers as the page's does."""
    run = api.start("lines", count=200)
    api.wait_end(run)
    found = api.get(f"/runs/{run}/search?pattern=^1.9$")
    assert [each["text"] for each in found["matches"]] == [f"1{number}9" for number in range(10)]
    assert found["done"]
    newest = api.get(f"/runs/{run}/search?text=19&backwards=1&limit=1")
    assert [each["text"] for each in newest["matches"]] == ["199"]
    api.wrong(400, "bad_request", f"/runs/{run}/search?pattern=(")
    api.wrong(400, "bad_request", f"/runs/{run}/search")


def test_another_persons_run_is_unknown(server: Server, api: Api) -> None:
    """A foreign run answers like none at all, by each door."""
    run = api.start("lines", count=1)
    other = Api(server.url, make_token(server.url, server.log_in(1)))
    doors = [("GET", ""), ("POST", "/stop"), ("POST", "/kill"), ("GET", "/output"), ("GET", "/search?text=x")]
    for method, path in doors:
        for each in (run, "A" * 22):
            told = other.wrong(404, "not_found", f"/runs/{each}{path}", method=method)
            assert told["detail"] == "There is no such run."
    foreign = other.wrong(404, "not_found", f"/runs/{run}/input", method="POST", json={"line": "x"})
    assert foreign["detail"] == "There is no such run."
    assert run not in [each["id"] for each in other.get("/runs")["runs"]]


@pytest.mark.parametrize(
    ("status", "code", "door", "options"),
    [
        (404, "not_found", "GET /nothing", {}),
        (404, "not_found", "GET /runs/../../etc/passwd%00", {}),
        (404, "not_found", "GET /jobs//count", {}),
        (404, "not_found", "GET /jobs/%2Fcount", {}),
        (404, "not_found", "GET /runs/", {}),
        (405, "method_not_allowed", "DELETE /runs", {}),
        (400, "bad_request", "GET /runs?limit=1&limit=2", {}),
        (400, "bad_request", "GET /runs?limit=%D9%A1", {}),
        (400, "bad_request", "GET /runs?limit=99999999999999999999999", {}),
        (400, "bad_request", "GET /jobs?colour=red", {}),
        (415, "unsupported_media_type", "POST /runs", {"data": "job=count"}),
        (415, "unsupported_media_type", "POST /runs", {"data": "{}", "headers": {"Content-Type": "text/plain"}}),
        (400, "bad_request", "POST /runs", {"data": b"", "headers": JSON}),
        (400, "bad_request", "POST /runs", {"data": b"{", "headers": JSON}),
        (400, "bad_request", "POST /runs", {"data": b"\xff\xfe", "headers": JSON}),
        (400, "bad_request", "POST /runs", {"data": b'{"job":"\\ud800"}', "headers": JSON}),
        (400, "bad_request", "POST /runs", {"data": b'{"job":"count","params":NaN}', "headers": JSON}),
        (400, "bad_request", "POST /runs", {"data": b"[" * 200_000, "headers": JSON}),
        (400, "bad_request", "POST /runs", {"json": []}),
        (400, "bad_request", "POST /runs", {"json": {"job": 1}}),
        (400, "bad_request", "POST /runs", {"json": {"job": "count", "extra": 1}}),
        (400, "bad_request", "POST /runs", {"json": {"job": "count", "params": []}}),
        (404, "not_found", "POST /runs", {"json": {"job": "../count"}}),
        (413, "too_large", "POST /runs", {"data": b" " * 2_000_000, "headers": JSON}),
        (413, "too_large", "POST /runs", {"data": (b" " * 65_536 for _ in range(40)), "headers": JSON}),
    ],
)
def test_what_is_wrong_is_told(api: Api, status: int, code: str, door: str, options: dict[str, Any]) -> None:
    """Whatever is wrong gets a problem document with a sentence, and the server goes on."""
    method, path = door.split()
    api.wrong(status, code, path, method=method, **options)


def test_no_method_is_a_crash(api: Api) -> None:
    """An unknown method is refused as any other that an address does not take, which says what it takes."""
    assert set(api.ask("/me", "PUT").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    api.wrong(405, "method_not_allowed", "/me", method="BREW")


def test_errors_elsewhere_stay_pages(server: Server, person: requests.Session) -> None:
    """Outside of /api people get pages, and the program's errors have a strict policy all the same."""
    page = person.get(f"{server.url}/nothing", timeout=20)
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    problem = person.get(f"{server.url}/api/nothing", timeout=20)
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert "frame-ancestors 'none'" in problem.headers["Content-Security-Policy"]


@pytest.mark.usefixtures("valkey_url")
def test_too_many_starts_are_told_when_to_come_again(start_server: Callable[..., Server]) -> None:
    """Beyond USER_STARTS a start is refused with 429 and the time to wait; other users are not."""
    server = start_server(USER_STARTS="3")
    api = Api(server.url, make_token(server.url, server.log_in()))
    for _ in range(3):
        api.start("silent")
    answer = api.ask("/runs", "POST", json={"job": "silent"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "Please wait" in answer.json()["detail"]
    other = Api(server.url, make_token(server.url, server.log_in(1)))
    other.start("silent")


def test_a_page_and_a_program_see_the_same(server: Server, person: requests.Session, page: Page, api: Api) -> None:
    """A run that the page starts is stopped by a program, and the page sees it end."""
    run = page.start("lines", count=100_000, pause=0.05)
    page.wait_for_text(run, "0\n")
    assert api.get(f"/runs/{run}")["status"] == "running"
    api.post(f"/runs/{run}/stop")
    assert page.wait_for_end(run)["status"] == "stopped"


def test_half_a_request_harms_nobody(server: Server, api: Api) -> None:
    """A client that promises a body and goes starts nothing, and the next one is served."""
    place = urlsplit(server.url)
    with socket.create_connection(("localhost", place.port or 80), 20) as raw:
        head = f"POST /api/v1.0/runs HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {api.token}\r\n"
        raw.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 60\r\n\r\n".encode())
        raw.sendall(json.dumps({"job": "half"}).encode()[:5])
    wait_until(lambda: api.ask("/me").ok, "the server does not go on")
