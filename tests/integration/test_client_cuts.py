"""The command line's output over cut connections, restarts of servers and ends of tokens: no byte lost or twice."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pytest
import requests

from app.model import new_id
from tests.api import Api, make_token, revoke_tokens
from tests.client import Client
from tests.cutting import cutting
from tests.proxy import Proxy
from tests.serving import Server
from tests.waiting import wait_until

LINES = "".join(f"{number:0200d}\n" for number in range(300)).encode()


def _more(out: IO[bytes]) -> bytes:
    data = os.read(out.fileno(), 65_536)
    assert data, "the client has ended"
    return data


def test_cuts_lose_nothing(api: Api, tmp_path: Path) -> None:
    """A connection that is cut again and again: each byte once, and stderr tells what is waited for."""
    proxy = Proxy(urlsplit(api.home).port or 80)
    client = Client(tmp_path, f"http://localhost:{proxy.port}", api.token)
    with client.begun("run", "lines", "count=300", "pause=0.02", "width=200") as begun:
        begun.wait_said("Run ")
        out = begun.process.stdout
        assert out
        found = b""
        for turn in range(5):
            while found.count(b"\n") < 40 * (turn + 1):
                found += _more(out)
            proxy.cut(refuse=turn % 2 == 0)
            if turn % 2 == 0:
                begun.wait_said("Waiting for")
            proxy.heal()
        code, rest, said = begun.end()
    assert (code, found + rest) == (0, LINES)
    assert b"nobody listens there" in said or b"was cut" in said
    assert b"is back" in said
    proxy.close()


def test_answers_that_are_lost_start_one_run(api: Api, tmp_path: Path) -> None:
    """Each second answer is lost: the start is sent again with its key, and is one run."""
    proxy = Proxy(urlsplit(api.home).port or 80)
    proxy.drop_every = 2
    client = Client(tmp_path, f"http://localhost:{proxy.port}", api.token)
    before = {run["id"] for run in api.get("/runs?job=silent")["runs"]}
    run = client.good("run", "-d", "--patience", "30", "silent").strip()
    assert proxy.dropped
    assert {each["id"] for each in api.get("/runs?job=silent")["runs"]} - before == {run}
    proxy.close()


def test_a_line_is_cut_in_the_midst(client: Client, api: Api, tmp_path: Path) -> None:
    """A proxy that cuts within records: what was not whole comes again, whole."""
    run = api.start("lines", count=3000, width=300)
    api.wait_end(run)
    with cutting(api, 100_003) as url:
        other = Client(tmp_path, url, api.token)
        for options in ([], ["-f"], ["--json"]):
            assert other("logs", *options, run).stdout == client("logs", *options, run).stdout
    assert client("logs", run).stdout == api.output(run)


@pytest.mark.parametrize("options", [[], ["--stream", "out"], ["--stream", "err"]])
@pytest.mark.parametrize("job", ["lines", "silent"])
def test_an_answer_that_lacks_its_end_alone(
    client: Client, api: Api, tmp_path: Path, job: str, options: list[str]
) -> None:
    """A cut between the last output and the end, and one before all output: the end is asked for."""
    run = api.start("lines", count=3) if job == "lines" else api.start(job)
    api.wait_end(run)
    whole = client("logs", "--json", *options, run).stdout
    assert whole.splitlines()[-1].startswith(b'{"type":"end"')
    for most in {whole.index(b'{"type":"end"'), whole.index(b"\n") + 1, 0}:
        with cutting(api, most, cuts=1) as url:
            cut = Client(tmp_path, url, api.token)("logs", "--json", *options, run)
            assert (cut.returncode, cut.stdout) == (0, whole)


@pytest.mark.parametrize(("stream", "expected"), [("out", b"before\n"), ("err", b"")])
def test_one_output_of_a_run_that_goes_on(api: Api, tmp_path: Path, stream: str, expected: bytes) -> None:
    """An answer that was cut before it had said anything is no answer without output."""
    go = tmp_path / "go"
    run = api.start("waits_for", file=str(go))
    wait_until(lambda: api.get(f"/runs/{run}")["position"])
    begin = api.ask(f"/runs/{run}/output.ndjson?follow=false&stream={stream}").content.index(b"\n") + 1
    with cutting(api, begin, cuts=1) as url:
        done = Client(tmp_path, url, api.token)("logs", "--stream", stream, run)
    assert (done.returncode, done.stdout) == (0, expected)
    go.touch()
    api.wait_end(run)


def test_lines_come_as_they_are_printed_where_answers_are_not_chunked(api: Api, tmp_path: Path) -> None:
    """A proxy that passes bytes on until the connection ends holds no line back."""
    go = tmp_path / "go"
    run = api.start("waits_for", file=str(go))
    with cutting(api, 10**9) as url, Client(tmp_path, url, api.token).begun("logs", "-f", run) as begun:
        out = begun.process.stdout
        assert out
        assert _more(out) == b"before\n"
        go.touch()
        assert begun.end()[:2] == (0, b"after\n")


def test_a_storage_that_has_lost_the_end_for_a_moment(api: Api, tmp_path: Path) -> None:
    """It knows no such place yet, and then it does: no line is missing, none comes twice. For ever it is not asked."""
    run = api.start("lines", count=3000, width=300)
    api.wait_end(run)
    with cutting(api, 200_000, cuts=1, unknown=1) as url:
        done = Client(tmp_path, url, api.token)("logs", "-f", run)
    assert (done.returncode, done.stdout) == (0, api.output(run))
    with cutting(api, 200_000, cuts=1, unknown=100) as url:
        Client(tmp_path, url, api.token).wrong(2, "a position from", "logs", "-f", run)


@pytest.mark.usefixtures("valkey_url")
def test_a_restart_of_the_server_in_mid_run(start_server: Callable[..., Server], tmp_path: Path) -> None:
    """The web process is killed, then told to end, while a run in a process goes on: each byte once, in its stream."""
    server = start_server()
    client = Client(tmp_path, server.url, make_token(server.url, server.log_in()))
    with client.begun("run", "prints_elsewhere", "count=400", stderr=(tmp_path / "err").open("wb")) as begun:
        out = begun.process.stdout
        assert out
        found = b""
        for number in (signal.SIGKILL, signal.SIGTERM):
            while not found.endswith(b"\n") or found.count(b"\n") < (30 if number == signal.SIGKILL else 120):
                found += _more(out)
            os.kill(server.worker, number)
        rest = out.read()
        assert begun.process.wait(60) == 0
    numbers = [f"{number:060d}\n".encode() for number in range(400)]
    assert found + rest == b"".join(numbers[number] for number in range(400) if number % 5)
    said = (tmp_path / "err").read_bytes()
    assert b"".join(re.findall(rb"^0{50}\d{10}\n", said, re.MULTILINE)) == b"".join(numbers[::5])


@pytest.mark.usefixtures("valkey_url")
def test_a_server_that_goes_for_good(start_server: Callable[..., Server], tmp_path: Path) -> None:
    """After its patience the client gives up, says so, and keeps what came."""
    server = start_server()
    client = Client(tmp_path, server.url, make_token(server.url, server.log_in()))
    with client.begun("run", "--patience", "2", "waits_for", "file=/nowhere") as begun:
        begun.wait_said("Run ")
        out = begun.process.stdout
        assert out
        assert os.read(out.fileno(), 100) == b"before\n"
        server.kill()
        code, rest, said = begun.end()
    assert (code, rest) == (69, b"")
    assert b"It was waited for 2 s" in said
    assert b"logs -f --after 7 " in said


def test_a_token_that_is_revoked_in_mid_run(server: Server, person: requests.Session, tmp_path: Path, api: Api) -> None:
    """The client ends and says so; the run goes on."""
    name = new_id()
    client = Client(tmp_path, server.url, make_token(server.url, person, name=name))
    go = tmp_path / "go"
    with client.begun("run", "waits_for", f"file={go}") as begun:
        begun.wait_said("Run ")
        out = begun.process.stdout
        assert out
        # Else the client may not have asked for the output yet.
        assert os.read(out.fileno(), 100) == b"before\n"
        revoke_tokens(server.url, person, name)
        code, rest, said = begun.end()
    assert (code, rest) == (77, b"")
    assert b"does not take this token" in said
    run = re.findall(rb"Run (\S+)", said)[0].decode()
    assert api.get(f"/runs/{run}")["status"] == "running"
    go.touch()
    assert api.wait_end(run)["status"] == "succeeded"


@pytest.mark.parametrize("after", ["0.2", "1", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "-5", "nan", ""])
def test_a_proxy_that_says_come_again(api: Api, tmp_path: Path, after: str) -> None:
    """502 and 503 are waited out, whatever Retry-After says."""
    run = api.start("lines", count=3)
    api.wait_end(run)
    with cutting(api, 10**9, refusals=4, retry_after=after) as url:
        client = Client(tmp_path, url, api.token)
        done = client("logs", "-f", "--patience", "30", run)
    assert (done.returncode, done.stdout) == (0, b"0\n1\n2\n")
    assert b"Waiting for" in done.stderr
