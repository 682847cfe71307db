"""What ends a stream of output, a reader that leaves or a server that stops, and what it holds until then."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from urllib3.exceptions import ProtocolError

from tests.api import Api, make_token
from tests.serving import Server
from tests.waiting import wait_until


def _raw_stream(server: Server, api: Api, path: str) -> socket.socket:
    """A connection that has asked for a stream and had the head of its answer."""
    place = urlsplit(server.url)
    raw = socket.create_connection(("localhost", place.port or 80), 30)
    head = f"GET /api/v1.0{path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {api.token}\r\n\r\n"
    raw.sendall(head.encode())
    raw.recv(15, socket.MSG_PEEK | socket.MSG_WAITALL)
    return raw


def _status(raw: socket.socket) -> bytes:
    return raw.recv(12)[9:12]


@pytest.mark.usefixtures("valkey_url")
def test_who_leaves_frees_all_at_once(start_server: Callable[..., Server], tmp_path: Path) -> None:
    """Two streams are all that this user may have: each that leaves, silent or not, makes room at once."""
    server = start_server(USER_SOCKETS="2")
    api = Api(server.url, make_token(server.url, server.log_in()))
    run = api.start("waits_for", file=str(tmp_path / "go"))
    path = f"/runs/{run}/output?heartbeat=300"
    assert _gets_in(server, api, path)
    files = _files(server)
    for turn in range(3):
        # Those that have just left may count for a moment.
        both = [_let_in(server, api, path) for _ in range(2)]
        assert [_status(each) for each in both] == [b"200"] * 2
        answer = api.ask(path)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
        assert answer.headers["Retry-After"]
        if turn == 1:
            # No word of parting.
            both[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        both[0].close()
        wait_until(lambda: _gets_in(server, api, path), "nothing is free after one has left", seconds=10)
        both[1].close()
        # A few come and go.
        wait_until(lambda: _files(server) <= files + 2, "descriptors stay open", seconds=10)
    wait_until(lambda: api.ask(path, "HEAD").status_code == 200)
    # An answer without a body holds nothing either.
    for _ in range(5):
        assert api.ask(path, "HEAD").status_code == 200
    wait_until(lambda: _gets_in(server, api, path))
    (tmp_path / "go").touch()
    api.wait_end(run)


@pytest.mark.usefixtures("valkey_url")
def test_streams_leave_threads_for_others(start_server: Callable[..., Server], tmp_path: Path) -> None:
    """Where each stream holds a thread, those beyond nine tenths are refused, and other calls are answered."""
    server = start_server(THREADS="6", ASYNC_STACK="threading")
    api = Api(server.url, make_token(server.url, server.log_in()))
    run = api.start("waits_for", file=str(tmp_path / "go"))
    held = [_raw_stream(server, api, f"/runs/{run}/output") for _ in range(4)]
    assert {_status(each) for each in held} == {b"200"}
    refused = api.ask(f"/runs/{run}/output")
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "server_full", "5")
    assert api.get(f"/runs/{run}")["status"] == "running"
    for each in held:
        each.close()
    wait_until(lambda: _gets_in(server, api, f"/runs/{run}/output"))


def _let_in(server: Server, api: Api, path: str) -> socket.socket:
    found: list[socket.socket] = []

    def tries() -> bool:
        raw = _raw_stream(server, api, path)
        good = raw.recv(12, socket.MSG_PEEK)[9:12] == b"200"
        if good:
            found.append(raw)
        else:
            raw.close()
        return good

    wait_until(tries, "nothing is free", seconds=10)
    return found[0]


def _gets_in(server: Server, api: Api, path: str) -> bool:
    with _raw_stream(server, api, path) as raw:
        return _status(raw) == b"200"


def _files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.worker}/fd").iterdir()))


@pytest.mark.usefixtures("valkey_url")
def test_a_stopping_server_ends_its_streams(start_server: Callable[..., Server], tmp_path: Path) -> None:
    """Streams hold no stop up: who watches a run of this server sees it end, others are cut off, visibly."""
    server = start_server()
    api = Api(server.url, make_token(server.url, server.log_in()))
    here, elsewhere = api.start("waits_for", file=str(tmp_path / "go")), api.start("waits_elsewhere")
    wait_until(lambda: api.get(f"/runs/{elsewhere}")["position"], "the other run does not begin", seconds=60)
    ends, cut = (Api(server.url, api.token).stream(f"/runs/{run}/output.ndjson").records() for run in (here, elsewhere))
    raw = Api(server.url, api.token).stream(f"/runs/{elsewhere}/output").answer.raw
    assert raw.read(7) == b"before\n"
    assert next(ends)["type"] == next(cut)["type"] == "begin"
    worker = server.worker
    os.kill(worker, signal.SIGTERM)
    assert [each["type"] for each in ends][-1] == "end"
    assert "end" not in [each["type"] for each in cut]
    with pytest.raises(ProtocolError):
        raw.read(1)
    wait_until(lambda: server.worker != worker, "the worker does not end")


def test_a_broken_pipe_is_no_error_in_the_log(server: Server, api: Api) -> None:
    """Readers that come and go leave no traceback behind."""
    run = api.start("lines", count=100_000, pause=0.001)
    before = server.log.stat().st_size
    for form in ("raw", "sse", "ndjson"):
        for _ in range(5):
            stream = api.stream(f"/runs/{run}/output.{form}")
            next(iter(stream.answer.iter_content(100)))
            stream.close()
    api.stop(run)
    assert "Traceback" not in server.log.read_bytes()[before:].decode()
