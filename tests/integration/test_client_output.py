"""The command line's output: byte for byte, whatever happens to connections, servers, tokens and readers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
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
from tests.waiting import wait_until

LINES = "".join(f"{number:0200d}\n" for number in range(300)).encode()


def test_fifty_megabytes_in_little_memory(client: Client, tmp_path: Path) -> None:
    """A flood comes out byte for byte, also into a pipe that is read slowly at first, and is never held."""
    file = tmp_path / "out"
    with file.open("wb") as out, client.begun("run", "-q", "flood", "megabytes=50", stdout=out) as begun:
        _, status, usage = os.wait4(begun.process.pid, 0)
        begun.process.returncode = os.waitstatus_to_exitcode(status)
        assert begun.process.returncode == 0
    filling = "x" * 89
    assert file.read_bytes() == "".join(f"{number:09d} {filling}\n" for number in range(500_000)).encode()
    assert usage.ru_maxrss < 150_000, f"{usage.ru_maxrss} KiB"
    with client.begun("logs", "-q", "last", stderr=None) as begun:
        assert begun.process.stdout
        time.sleep(0.5)
        assert begun.process.stdout.read() == file.read_bytes()
        assert begun.process.wait(60) == 0


def test_bytes_that_are_no_text(client: Client, api: Api) -> None:
    """Halves of characters, NUL, ESC and broken bytes come out as they went in, alike in pipes, files and JSON."""
    client("run", "-q", "hostile")
    run = client.json("runs", "last")[0]["id"]
    done = client("logs", "-q", run)
    assert b"\xff\x00\xfe broken \xe2\x82\n" in done.stdout
    assert b"\x1b]52;c;ZXZpbA==\x07" in done.stdout
    assert done.stdout == api.output(run)
    client("run", "-q", "pieces", "text=☃é🐍", "cut=1")
    assert client("logs", "last").stdout.startswith("☃é🐍".encode())


def test_from_any_place(client: Client, api: Api) -> None:
    """As the API has places; one of the outputs alone; what there is of a run that goes on."""
    client.good("run", "-q", "lines", "count=1000")
    assert client.good("logs", "--tail", "2", "last") == "998\n999\n"
    assert client.good("logs", "--line", "1000", "last") == "999\n"
    assert client.good("logs", "-f", "--after", "3882", "last") == "998\n999\n"[-8:]
    assert client.good("logs", "--time", "99999999999", "last") == ""
    client.wrong(2, "after", "logs", "--after", "99999", "last")
    client("run", "both", "pairs=2")
    for follow in ([], ["-f"]):
        done = client("logs", *follow, "-q", "--stream", "err", "last")
        assert (done.stdout, done.stderr) == (b"", b"err 0\nerr 1\n")
        done = client("logs", *follow, "-q", "--stream", "out", "last")
        assert (done.stdout, done.stderr) == (b"out 0\nout 1\n\xff\xfe raw\n", b"")
    run = client.good("run", "-d", "waits_elsewhere").strip()
    wait_until(lambda: api.get(f"/runs/{run}")["position"])
    assert client.good("logs", run) == "before\n"
    assert client.good("logs", "--stream", "out", run) == "before\n"
    api.stop(run)


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


def test_nobody_reads(client: Client, api: Api) -> None:
    """A reader that leaves ends the client quietly, also in silence; the run goes on, or is stopped if so asked."""
    for options, status in (([], "running"), (["--on-interrupt", "stop"], None)):
        with client.begun("run", "-q", *options, "heartbeat", "file=/dev/null") as begun:
            assert begun.process.stdout
            assert begun.process.stdout.readline() == b"beat 1\n"
            begun.process.stdout.close()
            assert begun.process.wait(30) == 141
            assert begun.process.stderr
            assert (begun.process.stderr.read() or b"") == b""
        run = client.json("runs", "last")[0]
        if status:
            assert run["status"] == status
            api.stop(run["id"])
        else:
            api.wait_end(run["id"])
    with client.begun("run", "-q", "waits_elsewhere") as begun:
        assert begun.process.stdout
        assert begun.process.stdout.readline() == b"before\n"
        begun.process.stdout.close()
        assert begun.process.wait(30) == 141
    api.stop(client.json("runs", "last")[0]["id"])
    command = "python -m app jobs | head -1; python -m app runs --all --json | true"
    done = subprocess.run(
        ["bash", "-c", command.replace("python", f"{sys.executable} -P")],
        env=client.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


def test_signals_without_a_terminal(client: Client, api: Api) -> None:
    """SIGINT and SIGTERM detach at the exact place, or stop the run where that was asked for."""
    for number in (signal.SIGINT, signal.SIGTERM):
        with client.begun("run", "heartbeat", "file=/dev/null") as begun:
            begun.wait_said("Run ")
            assert begun.process.stdout
            assert begun.process.stdout.readline() == b"beat 1\n"
            begun.process.send_signal(number)
            code, out, said = begun.end()
        assert code == 130
        run, place = re.findall(rb"Run (\S+)", said)[0].decode(), int(re.findall(rb"--after (\d+)", said)[0])
        assert place == len(b"beat 1\n" + out)
        api.stop(run)
        assert api.output(run).startswith(b"beat 1\n" + out)
    with client.begun("run", "--on-interrupt", "stop", "waits_elsewhere") as begun:
        assert begun.process.stdout
        assert begun.process.stdout.readline() == b"before\n"
        begun.process.send_signal(signal.SIGINT)
        assert begun.end()[0] in (0, 143)


def test_closed_descriptors(client: Client) -> None:
    """Who gives the client no stdin, stdout or stderr still has the exit code, and the output that is wanted."""
    program = f"{sys.executable} -P -m app"
    for closed, expected in (("<&- 2>&-", b"0\n1\n"), (">&-", b""), ("<&- >&- 2>&-", b"")):
        for command in ("run lines count=2", "jobs"):
            done = subprocess.run(
                ["bash", "-c", f"{program} {command} {closed}"],
                env=client.environment,
                capture_output=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout == expected or command == "jobs"
            assert b"Traceback" not in done.stderr


def test_input_from_a_pipe(client: Client) -> None:
    """Each question gets a line; behind the last the input has ended; the code's answer is the output."""
    source = "print(input('first? '), input('second? '))\ntry:\n    input()\nexcept EOFError:\n    print('over')"
    done = client("run", "-q", "code", f"source={source}", stdin="Ann\r\nBob ☃".encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[-2:] == ["Ann Bob ☃", "over"]
    done = client("run", "code", f"source={source}", stdin=b"x" * 10_001 + b"\nAnn\nBob\n")
    assert b"input: " in done.stderr
    assert done.stdout.decode().splitlines()[-2:] == ["Ann Bob", "over"]
    done = client("run", "--no-input", "--on-interrupt", "stop", "silent", stdin=b"not read")
    assert done.returncode == 0


def test_a_turn_is_waited_for(client: Client, api: Api) -> None:
    """Who waits in a queue is told so."""
    first = api.start("alone")
    wait_until(lambda: api.get(f"/runs/{first}")["position"])
    with client.begun("run", "alone") as begun:
        begun.wait_said("Waiting for its turn: place 1")
        api.stop(first)
        assert begun.process.stdout
        assert begun.process.stdout.readline() == b"alone\n"
        begun.process.send_signal(signal.SIGINT)
        assert begun.end()[0] == 130
    api.stop(client.json("runs", "last")[0]["id"])


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
