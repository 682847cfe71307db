"""The door for JSON-RPC: its methods, and what happens to wrong, huge, late, repeated and hostile calls."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from app.rpc_protocol import MOST_CALLS
from tests.api import Api, make_token
from tests.killable import Valkey
from tests.rpc import ECHO, NewToken, Rpc, finish
from tests.serving import Page, Server, running_server
from tests.waiting import wait_until


@pytest.mark.parametrize(
    ("method", "expected"),
    [("echo", "Grüß Gott\n"), ("reverse", "\nttoG ßürG"), ("uppercase", "GRÜSS GOTT\n"), ("lowercase", "grüß gott\n")],
)
def test_texts_are_echoed(rpc: Rpc, method: str, expected: str) -> None:
    """As they are, backwards, in capitals, in small letters; by place or by name."""
    assert rpc.call(method, "Grüß Gott\n") == rpc.call(method, text="Grüß Gott\n") == expected


@pytest.mark.parametrize(
    "kind",
    [
        "application/json-rpc",
        "application/json",
        "application/json; charset=utf-8",
        'application/json-rpc;charset="UTF-8"',
        "APPLICATION/JSON ; charset=us-ascii",
    ],
)
def test_the_types_of_a_call(rpc: Rpc, kind: str) -> None:
    """Both types, with or without a charset; the answer has the type of the call."""
    answer = rpc.send(ECHO, kind)
    assert answer.json() == {"jsonrpc": "2.0", "id": "ID1", "result": "text"}
    assert answer.headers["Content-Type"] == kind.partition(";")[0].strip().lower()
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_run_from_start_to_end(rpc: Rpc, api: Api) -> None:
    """Started, asked for its status and its output piece by piece, as the HTTP API has them."""
    jobs = {each["name"]: each for each in rpc.call("jobs.list")["jobs"]}
    assert jobs["lines"] == api.get("/jobs/lines")
    run = rpc.call("runs.start", job="lines", params={"count": 1000})["id"]
    ended = finish(rpc, run)
    assert ended == api.get(f"/runs/{run}")
    assert (ended["status"], ended["exit_code"]) == ("succeeded", 0)
    text, position, done = "", 0, False
    while not done:
        part = rpc.call("runs.output", run=run, after=position, limit=700)
        assert part["records"][0]["start"] == position
        text += "".join(each["data"] for each in part["records"])
        assert part["run"]["id"] == run
        position, done = part["position"], part["done"]
    assert text == "".join(f"{number}\n" for number in range(1000))
    assert rpc.call("runs.output", run, position)["records"] == []
    assert [each["data"] for each in rpc.call("runs.output", run=run, tail=2)["records"]] == ["998\n999\n"]
    assert rpc.call("runs.output", run=run, line=999, stream="err")["records"] == []


def test_a_run_is_watched_and_stopped(rpc: Rpc) -> None:
    """What it prints comes while it goes on; Stop ends it, and may come again."""
    run = rpc.call("runs.start", "lines", {"count": 100_000, "pause": 0.05})["id"]
    wait_until(lambda: rpc.call("runs.output", run)["position"] > 4)
    part = rpc.call("runs.output", run)
    assert "".join(each["data"] for each in part["records"]).startswith("0\n1\n")
    assert not part["done"]
    rpc.call("runs.stop", run)
    assert finish(rpc, run)["status"] == "stopped"
    assert rpc.call("runs.stop", run)["status"] == "stopped"
    wait_until(lambda: rpc.call("runs.output", run, rpc.call("runs.output", run)["position"])["done"])


def test_the_same_key_is_the_same_run(rpc: Rpc, api: Api) -> None:
    """A start that comes again with its key starts nothing, by whichever door; another start with it is refused."""
    runs = {rpc.call("runs.start", job="silent", key="rpc-once")["id"] for _ in range(3)}
    runs.add(api.start("silent", key="rpc-once"))
    assert len(runs) == 1
    rpc.wrong(-32006, "key_reused", "runs.start", job="lines", key="rpc-once")
    for key in ("", "x" * 129, "with a space", "é"):
        rpc.wrong(-32602, "bad_request", "runs.start", job="silent", key=key)


def test_a_batch_is_answered_as_one(rpc: Rpc) -> None:
    """Each call of it has its answer, notifications have none, and one that fails spoils no other."""
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["one"]},
        {"jsonrpc": "2.0", "method": "echo", "params": ["nobody hears this"]},
        {"jsonrpc": "2.0", "id": 2, "method": "runs.status", "params": ["A" * 22]},
        {"jsonrpc": "2.0", "id": 3, "method": "reverse", "params": ["two"]},
    ]
    found = rpc.send(json.dumps(calls)).json()
    assert [each["id"] for each in found] == [1, 2, 3]
    assert [each.get("result") for each in found] == ["one", None, "owt"]
    assert found[1]["error"]["code"] == -32004


def test_a_notification_is_done_and_not_answered(rpc: Rpc) -> None:
    """A start that nobody wants to hear of starts all the same; a wrong one is not complained about."""
    run = rpc.call("runs.start", "lines", {"count": 100_000, "pause": 0.05})["id"]
    for call in (
        {"jsonrpc": "2.0", "method": "runs.stop", "params": [run]},
        {"jsonrpc": "2.0", "method": "runs.stop", "params": []},
        [{"jsonrpc": "2.0", "method": "runs.stop", "params": [run]}] * 2,
    ):
        answer = rpc.send(json.dumps(call))
        assert (answer.status_code, answer.content) == (204, b"")
    assert finish(rpc, run)["status"] == "stopped"


def test_a_long_answer_to_a_batch_is_cut(rpc: Rpc) -> None:
    """Beyond four megabytes of output the calls that are left are told so."""
    run = rpc.call("runs.start", "lines", {"count": 3000, "width": 100})["id"]
    finish(rpc, run)
    call = {"jsonrpc": "2.0", "id": 1, "method": "runs.output", "params": {"run": run, "limit": 262_144}}
    found = rpc.send(json.dumps([call] * MOST_CALLS)).json()
    assert len(found) == MOST_CALLS
    whole = sum("result" in each for each in found)
    assert 16 <= whole < MOST_CALLS
    assert {each["error"]["data"]["code"] for each in found[whole:]} == {"too_many"}


@pytest.mark.parametrize(
    ("number", "code", "method", "params"),
    [
        (-32601, "method_not_found", "nothing", []),
        (-32601, "method_not_found", "runs", []),
        (-32601, "method_not_found", "runs.start.now", []),
        (-32601, "method_not_found", "", []),
        (-32601, "method_not_found", "x" * 100_000, []),
        (-32602, "bad_request", "echo", []),
        (-32602, "bad_request", "echo", [1]),
        (-32602, "bad_request", "echo", [None]),
        (-32602, "bad_request", "echo", ["a", "b"]),
        (-32602, "bad_request", "echo", {"txt": "a"}),
        (-32602, "bad_request", "echo", ["x" * 100_001]),
        (-32602, "bad_request", "jobs.list", [1]),
        (-32602, "bad_request", "runs.output", {"run": "A" * 22, "limit": 0}),
        (-32602, "bad_request", "runs.output", {"run": "A" * 22, "limit": True}),
        (-32602, "bad_request", "runs.output", {"run": "A" * 22, "stream": "both"}),
        (-32602, "bad_request", "runs.start", ["lines", []]),
        (-32602, "invalid_parameters", "runs.start", ["lines", {"count": "many"}]),
        (-32004, "not_found", "runs.start", ["../lines"]),
        (-32004, "not_found", "runs.start", [""]),
        (-32004, "not_found", "runs.status", ["A" * 22]),
        (-32004, "not_found", "runs.status", ["../../etc/passwd\0"]),
        (-32004, "not_found", "runs.output", ["x" * 100_000]),
        (-32004, "not_found", "get_result", ["A" * 22]),
        (-32602, "bad_request", "celery_echo", ["shout", "text"]),
        (-32602, "bad_request", "celery_echo", ["echo", "x" * 10_001]),
        (-32014, "worker_unavailable", "celery_echo", ["echo", "text"]),
    ],
)
def test_what_is_wrong_is_told(rpc: Rpc, number: int, code: str, method: str, params: Any) -> None:
    """Whatever is wrong gets a number, a code and a sentence, and the server goes on."""
    args, named = (params, {}) if isinstance(params, list) else ([], params)
    error = rpc.wrong(number, code, method, *args, **named)
    assert len(json.dumps(error)) < 1000


def test_places_and_deep_parameters(rpc: Rpc) -> None:
    """More than one place, a place that cannot be, and parameters that are nested very deep."""
    run = rpc.call("runs.start", "silent")["id"]
    finish(rpc, run)
    for wrong in ({"after": 1, "tail": 1}, {"after": -1}, {"after": 10**30}, {"line": 0}, {"tail": -1}):
        rpc.wrong(-32602, "bad_request", "runs.output", run=run, **wrong)
    for depth in (60, 400, 900):
        nest = "[" * depth + "]" * depth
        call = (
            f'{{"jsonrpc":"2.0","id":1,"method":"runs.start","params":{{"job":"lines","params":{{"count":{nest}}}}}}}'
        )
        assert rpc.send(call).json()["error"]["code"] in (-32602, -32700)


def _pieces() -> Iterator[bytes]:
    yield from (b" " * 65_536 for _ in range(40))


@pytest.mark.parametrize(
    ("status", "code", "body", "kind"),
    [
        (415, "unsupported_media_type", ECHO, "text/plain"),
        (415, "unsupported_media_type", ECHO, "application/x-www-form-urlencoded"),
        (415, "unsupported_media_type", ECHO, "application/json-rpc-2"),
        (415, "unsupported_media_type", ECHO, "application/json; charset=utf-16"),
        (415, "unsupported_media_type", ECHO, ""),
        (413, "too_large", b" " * 2_000_000, "application/json"),
        (413, "too_large", _pieces(), "application/json"),
        (200, "parse_error", b"", "application/json"),
        (200, "parse_error", b"\xff\xfe{}", "application/json"),
        (200, "parse_error", b"[" * 200_000, "application/json"),
        (200, "invalid_request", b"[" + b"1," * 400_000 + b"1]", "application/json"),
    ],
)
def test_what_is_no_call_is_told(rpc: Rpc, status: int, code: str, body: Any, kind: str) -> None:
    """What HTTP refuses has its status, and an error object as all others."""
    answer = rpc.send(body, kind)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert (found["jsonrpc"], found["id"]) == ("2.0", None)
    assert found["error"]["data"]["code"] == code
    assert len(answer.content) < 1000


def test_other_methods_and_addresses(rpc: Rpc, server: Server) -> None:
    """GET is refused and told what is taken; what is nearly the address is none; OPTIONS says what there is."""
    for method in ("GET", "PUT", "DELETE", "BREW"):
        answer = requests.request(method, rpc.url, headers=rpc.headers, timeout=20)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
        assert answer.json()["error"]["data"]["code"] == "method_not_allowed"
    for path in ("/rpc/", "/rpc/echo"):
        answer = requests.post(server.url + path, ECHO, headers=rpc.headers, timeout=20)
        assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (404, "not_found")
    options = requests.options(rpc.url, timeout=20)
    assert (options.status_code, options.content) == (200, b"")
    assert set(options.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_a_page_and_a_program_see_the_same(page: Page, rpc: Rpc) -> None:
    """A run that the page starts is stopped by a program, and the page sees it end."""
    run = page.start("lines", count=100_000, pause=0.05)
    page.wait_for_text(run, "0\n")
    rpc.call("runs.stop", run)
    assert page.wait_for_end(run)["status"] == "stopped"


@pytest.mark.usefixtures("valkey_url")
def test_too_many_starts_are_told_when_to_come_again(start_server: Callable[..., Server], new_token: NewToken) -> None:
    """Beyond USER_STARTS each start of a batch is refused, with the seconds to wait."""
    server = start_server(USER_STARTS="3")
    rpc = Rpc(server.url, new_token(server.url, server.log_in()))
    call = {"jsonrpc": "2.0", "id": 1, "method": "runs.start", "params": ["silent"]}
    found = rpc.send(json.dumps([call] * 6)).json()
    assert sum("result" in each for each in found) == 3
    assert {each["error"]["code"] for each in found[3:]} == {-32007}
    assert 1 <= found[-1]["error"]["data"]["retry_after"] <= 60


def test_half_a_call_harms_nobody(server: Server, rpc: Rpc) -> None:
    """A client that promises a body and goes starts nothing, and the next one is served."""
    place = urlsplit(server.url)
    with socket.create_connection(("localhost", place.port or 80), 20) as raw:
        head = f"POST /rpc HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: {rpc.headers['Authorization']}\r\n"
        raw.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 60\r\n\r\n{ECHO[:9]}".encode())
    assert rpc.call("echo", "still here") == "still here"


def test_no_secret_of_a_call_is_logged(server: Server, rpc: Rpc, tmp_path: Path) -> None:
    """What is sent is in no record, whether the call is taken or not."""
    secret = f"not-to-be-logged-{tmp_path.name}"
    rpc.call("echo", secret)
    rpc.wrong(-32602, "invalid_parameters", "runs.start", "lines", {"count": secret})
    rpc.send(f'{{"{secret}')
    assert secret not in server.log.read_text()


def test_many_small_records_are_bounded(rpc: Rpc) -> None:
    """Lines that came one by one are many objects: an answer has not all of them, and the next ones go on."""
    run = rpc.call("runs.start", "lines", {"count": 3000, "pause": 0.001})["id"]
    finish(rpc, run)
    position, done = 0, False
    while not done:
        part = rpc.call("runs.output", run=run, after=position, limit=262_144)
        assert len(part["records"]) < 3000
        position, done = part["position"], part["done"]
    assert position == rpc.call("runs.status", run)["position"]


def test_a_store_that_is_away_is_told(valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path) -> None:
    """Nobody can be recognised then: 503, in the shape of all errors, and calls go on when it is back."""
    with running_server(tmp_path / "log", **store_settings) as server:
        rpc = Rpc(server.url, make_token(server.url, server.log_in()))
        assert rpc.call("echo", "before") == "before"
        valkey.kill()
        answer = rpc.send(ECHO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, -32012)
        assert answer.json()["error"]["data"]["code"] == "store_unavailable"
        assert int(answer.headers["Retry-After"]) > 0
        valkey.start()
        wait_until(lambda: rpc.send(ECHO).ok, server.log, pause=0.2)
