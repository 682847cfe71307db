"""The command line's output over cut connections, restarts of servers and ends of tokens: no byte lost or twice."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
import requests

from app.model import new_id
from tests.api import Api, make_token, revoke_tokens
from tests.client import Client
from tests.proxy import Proxy
from tests.serving import Server

LINES = "".join(f"{number:0200d}\n" for number in range(300)).encode()


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
                found += os.read(out.fileno(), 65_536)
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
    with _cutting(api, 100_003) as url:
        other = Client(tmp_path, url, api.token)
        for options in ([], ["-f"], ["--json"]):
            assert other("logs", *options, run).stdout == client("logs", *options, run).stdout
    assert client("logs", run).stdout == api.output(run)


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
                found += os.read(out.fileno(), 65_536)
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
        revoke_tokens(server.url, person, name)
        code, out, said = begun.end()
    assert (code, out) == (77, b"before\n")
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
    with _cutting(api, 10**9, refusals=4, retry_after=after) as url:
        client = Client(tmp_path, url, api.token)
        done = client("logs", "-f", "--patience", "30", run)
    assert (done.returncode, done.stdout) == (0, b"0\n1\n2\n")
    assert b"Waiting for" in done.stderr


@contextmanager
def _cutting(api: Api, most: int, *, refusals: int = 0, retry_after: str = "") -> Iterator[str]:
    """A proxy that cuts each answer off after so many bytes, and first refuses some requests."""
    left = [refusals]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if left[0]:
                left[0] -= 1
                self.send_response(502 + left[0] % 2)
                if retry_after:
                    self.send_header("Retry-After", retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answer = requests.get(api.home + self.path, headers=api.headers, stream=True, timeout=60)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            # Until the connection ends: whether it is whole nobody can tell but by what it says.
            left_of_it = most
            for piece in answer.iter_content(8192):
                self.wfile.write(piece[:left_of_it])
                left_of_it -= len(piece)
                if left_of_it <= 0:
                    break
            answer.close()

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()
