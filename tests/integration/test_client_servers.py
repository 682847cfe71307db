"""The command line before servers that are away, others than it thinks, or none at all."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.client import Client
from tests.serving import Server, free_port

GOOD = b"HTTP/1.1 200 OK\r\n"
NO_API = [
    b"",
    b"SSH-2.0\r\n",
    *(GOOD + rest for rest in (b"\r\n<p>", b"\r\n[1]", b"\r\n{}", b"Content-Length: 9\r\n\r\n{")),
]


@pytest.mark.parametrize(
    "url", ["ftp://here", "http://", "http://a b", "http://user:word@here", "http://here:port", "http://here?x=1"]
)
def test_an_address_that_is_none(tmp_path: Path, url: str) -> None:
    """It is refused before anybody is asked."""
    Client(tmp_path).wrong(2, "address", "login", "--url", url, "--token", "x")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """It is said at once, in one line; where it is waited for, that too."""
    client = Client(tmp_path, f"http://localhost:{free_port()}", "frt_token")
    began = time.monotonic()
    said = client.wrong(69, "nobody listens there", "jobs")
    assert said.count("\n") == 1
    assert time.monotonic() - began < 20
    assert "Waiting for" in client.wrong(69, "It was waited for 1 s", "jobs", "--patience", "1")
    unknown = Client(tmp_path, "http://no-such-host.invalid", "frt_token")
    unknown.wrong(69, "cannot be reached", "jobs")


def test_a_server_that_is_another(server: Server, tmp_path: Path) -> None:
    """A web page is no API."""
    client = Client(tmp_path, f"{server.url}/jobs", "frt_token")
    client.wrong(66, "does not answer as the HTTP API", "jobs")


@pytest.mark.parametrize("status", [200, 404])
def test_names_cannot_draw_on_the_terminal(tmp_path: Path, status: int) -> None:
    """Control characters in what a server says come out nowhere; in JSON they are escaped."""
    evil = "a\x1b]0;evil\x07\x1b[31m\x9b31mname\r\n\tb"
    job = {name: evil for name in ("name", "title", "summary", "help", "executor")}
    problem = {"code": evil, "detail": evil}
    body = json.dumps({"jobs": [{**job, "error": None, "parameters": {}}], **problem}).encode()
    head = f"HTTP/1.1 {status} Fine\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with _saying(head.encode() + body) as url:
        client = Client(tmp_path, url, "frt_token")
        for options in ([], ["--json"]):
            done = client("jobs", *options)
            assert done.returncode == (0 if status == 200 else 66)
            assert not {"\x1b", "\x07", "\x9b", "\r"} & set((done.stdout + done.stderr).decode())
            assert b"name" in done.stdout + done.stderr


@pytest.mark.parametrize("said", NO_API)
def test_what_is_no_api(tmp_path: Path, said: bytes) -> None:
    """Whatever else listens there is told from the API, in one line."""
    with _saying(said) as url:
        client = Client(tmp_path, url, "frt_token")
        done = client("jobs")
    assert done.returncode in (65, 69)
    assert (done.stdout, done.stderr.count(b"\n"), b"Traceback" in done.stderr) == (b"", 1, False)


@pytest.mark.parametrize("status", [502, 504])
def test_what_may_have_been_done_is_not_asked_twice(tmp_path: Path, status: int) -> None:
    """A proxy that got no answer from the server does not know either: a channel is not set again."""
    asked: list[bytes] = []
    with _saying(b"HTTP/1.1 %d Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status, asked) as url:
        said = Client(tmp_path, url, "frt_token").wrong(69, "It is not known whether", "channels", "a=1")
    assert str(status) in said
    assert [line.split()[0] for line in asked] == [b"PATCH"]


@contextmanager
def _saying(answer: bytes, asked: list[bytes] | None = None) -> Iterator[str]:
    """A server that says the same to everybody, and keeps what it is `asked`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    taken, _ = listener.accept()
                    with taken:
                        request = taken.recv(65_536)
                        if asked is not None:
                            asked.append(request)
                        taken.sendall(answer)

        Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
