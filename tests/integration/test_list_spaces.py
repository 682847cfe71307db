"""The example job against the Webex stand-in: its output, its failures, and its end."""

from __future__ import annotations

import ast
import asyncio
import gc
import logging
import re
import socket
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from app.catalog import Catalog
from app.config import load_settings
from app.errors import InvalidParameters, LoginAgain
from app.list_spaces import list_spaces
from app.webexteamsasyncapi import CONCURRENCY, WebexTeamsAsyncAPI
from tests.integration.simulator_fixture import Simulator

DONE = "-------------- Done ----------"
SPACE = re.compile(r"(.+), (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")
STATS = re.compile(r"space stats for (.+) done: (\{'message_count': \d+, 'earliest': .+, 'latest': .+\})")


class Token:
    """What a job gets as `token`: the tokens in turn, the last one for ever; an exception among them is raised."""

    def __init__(self, api_url: str, *tokens: str | Exception) -> None:
        self.api_url = api_url
        self._tokens = list(tokens)
        self.calls = 0

    def __call__(self) -> str:
        """The token whose turn it is."""
        self.calls += 1
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        if isinstance(token, Exception):
            raise token
        return token


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Every test leaves its client session and connections closed: Python would warn of open ones here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    left = [str(warning.message) for warning in caught if "client" in str(warning.message).lower()]
    assert left == []


def _job(token: Token, limit: int = 100, running: Callable[[], bool] = lambda: True) -> None:
    asyncio.run(list_spaces(running, token, limit=limit))


def _failed(token: Token, capsys: pytest.CaptureFixture[str]) -> str:
    """The last line of a run that must fail tidily."""
    with pytest.raises(SystemExit) as ended:
        _job(token)
    assert ended.value.code == 1
    output = capsys.readouterr().out
    assert DONE not in output
    line = output.splitlines()[-1]
    assert line.startswith("Execution failed ")
    return line


def _messages(simulator: Simulator, token: str, room: str) -> list[str]:
    query = {"roomId": room, "max": "1000"}
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{simulator.url}/messages", params=query, headers=headers, timeout=10)
    return [message["created"] for message in answer.json()["items"]]


def test_the_output_has_the_known_form(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Spaces in their order, then the true statistics of each, then the last line; pages of both lists are joined."""
    simulator.turn(spaces=130, messages=1100)
    token = simulator.token()
    _job(Token(simulator.url, token), limit=105)
    lines = capsys.readouterr().out.splitlines()
    query = {"max": "105", "sortBy": "lastactivity"}
    headers = {"Authorization": f"Bearer {token}"}
    rooms = requests.get(f"{simulator.url}/rooms", params=query, headers=headers, timeout=10).json()["items"]
    assert lines[:105] == [f"{room['title']}, {room['lastActivity']}" for room in rooms]
    assert lines[-1] == DONE
    assert len(lines) == 211
    stats = [STATS.fullmatch(line) for line in lines[105:-1]]
    found = Counter((match[1], match[2]) for match in stats if match)
    assert Counter(title for title, _ in found.elements()) == Counter(room["title"] for room in rooms)
    by_title = {title: ast.literal_eval(text) for title, text in found}
    assert by_title[rooms[0]["title"]]["message_count"] == 1100
    assert by_title[rooms[1]["title"]] == {"message_count": 0, "earliest": None, "latest": None}
    created = _messages(simulator, token, rooms[2]["id"])
    assert by_title[rooms[2]["title"]] == {"message_count": len(created), "earliest": created[-1], "latest": created[0]}


@pytest.mark.parametrize(("limit", "spaces"), [(1, 1), (7, 7), (8, 7)])
def test_the_limit_is_kept(simulator: Simulator, capsys: pytest.CaptureFixture[str], limit: int, spaces: int) -> None:
    """No more spaces are listed, and no more pages read, than the limit asks for."""
    _job(Token(simulator.url, simulator.token()), limit=limit)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if SPACE.fullmatch(line)]) == spaces
    assert (len(lines), simulator.count("/rooms")) == (2 * spaces + 1, 1)


def test_no_spaces_at_all(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody without spaces gets just the last line."""
    simulator.turn(spaces=0)
    _job(Token(simulator.url, simulator.token()))
    assert capsys.readouterr().out == f"{DONE}\n"


def test_faults_that_pass_are_not_seen(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """429 with HTML, 423, 502, 503, a cut connection and a late answer change nothing in the output."""
    token = simulator.token()
    _job(Token(simulator.url, token))
    quiet = capsys.readouterr().out.splitlines()
    simulator.fault("/rooms", status=429, retry_after="soon, surely", body="<html>", content_type="text/html")
    simulator.fault("/messages", status=423, retry_after="-5")
    simulator.fault("/messages", status=429, retry_after="0.5")
    simulator.fault("/messages", status=502, body="", content_type="text/plain")
    simulator.fault("/messages", status=503, retry_after="1")
    simulator.fault("/messages", cut=True)
    simulator.fault("/messages", delay=0.3)
    _job(Token(simulator.url, token))
    noisy = capsys.readouterr().out.splitlines()
    assert sorted(noisy) == sorted(quiet)
    assert noisy[-1] == DONE


def test_a_token_that_ends_is_asked_for_again(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A 401 asks for another token once, and the job goes on with it."""
    old = simulator.token()
    simulator.expire()
    token = Token(simulator.url, old, simulator.token())
    _job(token)
    assert capsys.readouterr().out.endswith(f"{DONE}\n")
    assert token.calls == 9


def test_a_login_that_ended_is_said(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """With two 401 in a row the run fails and tells its user to log in again; the token is nowhere."""
    token = simulator.token()
    simulator.expire()
    line = _failed(Token(simulator.url, token), capsys)
    assert "log out and in again" in line
    assert token not in line
    assert simulator.count("/rooms") == 2


def test_a_login_that_cannot_be_refreshed_is_said(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Where asking for the token fails, its own sentence is the failure."""
    assert (
        _failed(Token(simulator.url, LoginAgain("Please log in again.")), capsys)
        == "Execution failed Please log in again."
    )


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 404}, "404 to /v1/messages: The requested resource could not be found. (tracking id ROUTER_"),
        ({"status": 403, "body": "<html>no</html>", "content_type": "text/html"}, "answered 403 to /v1/messages."),
        ({"status": 500, "body": "{token}", "content_type": "text/plain"}, "answered 500 to /v1/messages."),
        ({"status": 400, "body": '{"message": "bad {token}"}'}, "answered 400 to /v1/messages: bad ***"),
    ],
)
def test_a_refusal_fails_the_run(
    simulator: Simulator, capsys: pytest.CaptureFixture[str], fault: dict[str, object], told: str
) -> None:
    """A refusal that waiting cannot heal ends the run with one sentence, which never holds the token."""
    token = simulator.token()
    if "body" in fault:
        fault = {**fault, "body": str(fault["body"]).replace("{token}", token)}
    simulator.fault("/messages", times=100, **fault)
    line = _failed(Token(simulator.url, token), capsys)
    assert told in line
    assert token not in line


@pytest.mark.parametrize("where", ["nobody listens", "no such host", "not an address"])
def test_an_api_out_of_reach_fails_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A dead server, an unknown host, a wrong address: a sentence, no traceback."""
    monkeypatch.setattr("app.webexteamsasyncapi.FIRST_BACKOFF", 0.01)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        urls = {"nobody listens": dead, "no such host": "http://webex.invalid/v1", "not an address": "webexapis"}
        line = _failed(Token(urls[where], "x" * 60), capsys)
    assert "cannot be reached" in line or "no http or https address" in line


def test_a_bug_keeps_its_traceback(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody foresaw is said too, and raised again, so that the output ends with its traceback."""
    with pytest.raises(ZeroDivisionError):
        _job(Token(simulator.url, ZeroDivisionError("a bug")))
    assert capsys.readouterr().out == "Execution failed a bug\n"


@pytest.mark.parametrize(
    "fault",
    [
        {"path": "/rooms", "status": 429, "retry_after": "600"},
        {"path": "/messages", "status": 429, "retry_after": "600", "times": 1000},
        {"path": "/messages", "status": 502, "times": 1000},
        {"path": "/rooms", "delay": 300},
        {"path": "/messages", "delay": 300, "times": 1000},
    ],
)
def test_stop_ends_every_wait_at_once(
    simulator: Simulator, capsys: pytest.CaptureFixture[str], fault: dict[str, object]
) -> None:
    """A job that waits, for a limit of minutes or for an answer, ends when it is cancelled, without another word."""
    simulator.fault(**fault)  # type: ignore[arg-type] # the fields of a fault differ in type

    async def stopped() -> float:
        task = asyncio.create_task(list_spaces(lambda: True, Token(simulator.url, simulator.token())))
        while not simulator.count(str(fault["path"])):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    # The promise is 0.2 s; the rest is for a machine that is busy. Waiting to the end would take minutes.
    assert asyncio.run(stopped()) < 2
    output = capsys.readouterr().out
    assert "failed" not in output
    assert DONE not in output


def test_a_job_that_may_not_go_on_does_not_say_done(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Where `running` turns false the job ends early and does not claim to be done."""
    _job(Token(simulator.url, simulator.token()), running=lambda: False)
    assert DONE not in capsys.readouterr().out


def test_no_more_than_forty_requests_at_once(simulator: Simulator) -> None:
    """However many spaces there are, forty requests at most are under way; the others wait for their turn."""
    simulator.turn(spaces=100)
    simulator.fault("/messages", delay=300, times=1000)

    async def flood() -> int:
        task = asyncio.create_task(list_spaces(lambda: True, Token(simulator.url, simulator.token())))
        while simulator.count("/messages") < CONCURRENCY:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        count = simulator.count("/messages")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return count

    assert asyncio.run(flood()) == CONCURRENCY


def test_the_token_is_in_no_log(simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """Even at the finest level no log line holds the token."""
    caplog.set_level(logging.DEBUG)
    simulator.fault("/rooms", status=502)
    token = simulator.token()
    _job(Token(simulator.url, token))
    assert "next try in" in caplog.text
    assert token not in caplog.text


def test_the_token_goes_to_no_other_server(start_simulator: Callable[..., Simulator]) -> None:
    """A next page on another server is not asked for: that server never sees the token."""
    other = start_simulator("--spaces", "5")
    simulator = start_simulator("--spaces", "3", "--internal-url", other.url)

    async def read() -> list[str]:
        async with WebexTeamsAsyncAPI(Token(simulator.url, simulator.token()), simulator.url) as api:
            return [room["id"] async for room in api.rooms(2)]

    with pytest.raises(Exception, match="another server"):
        asyncio.run(read())
    assert other.count("/rooms") == 0


def test_the_catalogue_knows_the_example(tmp_path: Path) -> None:
    """The job is the catalogue's example, with one parameter, which must be at least 1."""
    job = Catalog(load_settings(None, jobs=(str(tmp_path),))).example
    assert (job.name, job.title, job.is_async) == ("list_spaces", "List my spaces", True)
    assert job.injected == {"running", "token"}
    assert job.schema["properties"]["limit"]["minimum"] == 1
    assert job.parse({}) == {"limit": 100}
    with pytest.raises(InvalidParameters):
        job.parse({"limit": "0"})
