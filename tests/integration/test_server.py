"""The web server on both legs of the async stack: it ends in time, and no client harms it."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.simulator_fixture import Simulator
from tests.processes import processes_of
from tests.server_fixture import settings_for
from tests.serving import Server, running_server
from tests.waiting import wait_until

LEGS = ["eventlet", "threading"]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n",
    b"\x00" * 5000,
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Name : x\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n\xff\xff\xff\xff",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


@pytest.fixture(scope="module", params=LEGS)
def leg(
    request: pytest.FixtureRequest,
    _valkey_socket: Path,
    _shared_simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A running server on each leg."""
    folder = tmp_path_factory.mktemp("leg")
    settings: dict[str, Any] = settings_for(_valkey_socket, _shared_simulator, folder)
    with running_server(folder / "log", **settings, ASYNC_STACK=request.param) as server:
        yield server


def _connect(server: Server) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=15)
    connection.settimeout(15)
    return connection


def _answers(server: Server) -> bool:
    with _connect(server) as connection:
        connection.sendall(HEALTH)
        return connection.recv(4096).startswith(b"HTTP/1.1 200")


def _read_to_end(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize("stack", LEGS)
def test_sigterm_with_open_websockets_ends_in_time(start_server: Callable[..., Server], stack: str) -> None:
    """With a job that runs and ten pages that watch, SIGTERM ends all processes soon, and the run is recorded."""
    server = start_server(ASYNC_STACK=stack)
    person = server.log_in()
    pages = [server.page(person) for _ in range(10)]
    run = pages[0].start("lines", count=1000, pause=0.1)
    for page in pages[1:]:
        assert page.watch(run)["ok"]
    for page in pages:
        page.wait_for_text(run, "2\n")
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(15) == 0, server.log.read_text()
    assert time.monotonic() - began < 10
    assert processes_of(server.process.pid) == {}
    for page in pages:
        assert not page.gaps
        assert page.wait_for_end(run, 10)["status"] == "stopped"


def test_a_connection_serves_many_requests(leg: Server) -> None:
    """Keep-alive: the connection stays, also after an error page and after a body that nobody read."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(leg.url).port, timeout=15)
    connection.connect()
    first = connection.sock
    for method, path, body, status in [
        ("GET", "/healthz", None, 200),
        ("HEAD", "/healthz", None, 200),
        ("GET", "/no-such-page", None, 404),
        ("POST", "/healthz", b"x" * 10_000, 405),
        ("GET", "/healthz", None, 200),
    ]:
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    assert connection.sock is first
    connection.close()


def test_pipelined_requests_are_answered_in_order(leg: Server) -> None:
    """Three requests in one packet get three answers, the last of which ends the connection."""
    last = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    missing = HEALTH.replace(b"/healthz", b"/no-such-page")
    with _connect(leg) as connection:
        connection.sendall(HEALTH + missing + last)
        received = _read_to_end(connection)
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]


def test_a_file_arrives_whole(leg: Server) -> None:
    """A file of the page's libraries comes byte for byte."""
    file = max(Path("vendor").rglob("*.mjs"), key=lambda each: each.stat().st_size)
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(leg.url).port, timeout=15)
    connection.request("GET", f"/{file.as_posix()}")
    assert connection.getresponse().read() == file.read_bytes()
    connection.close()


@pytest.mark.parametrize("size", [900_000, 20_000_000])
def test_a_large_body_harms_nobody(leg: Server, size: int) -> None:
    """A body that no door wants is answered; of a huge one the server may stop reading, and cut the connection."""
    head = f"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    with _connect(leg) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head.encode() + b"x" * size)
        received = _read_to_end(connection)
    wanted = (b"HTTP/1.1 405", b"HTTP/1.1 413")
    assert received.startswith(wanted) or (size > 1_000_000 and not received)
    assert _answers(leg)


def test_an_endless_chunked_body_is_no_reason_to_read_for_ever(leg: Server) -> None:
    """A client that never ends its body is cut or answered, while others are served."""
    with _connect(leg) as connection:
        connection.sendall(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            connection.sendall(b"5\r\nhello\r\n")
        assert _answers(leg)


def test_slow_clients_do_not_keep_others_waiting(leg: Server) -> None:
    """Sixty clients that send half a request, or nothing, leave the server to everybody else."""
    slow = [_connect(leg) for _ in range(60)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(HEALTH[: number % 20])
        began = time.monotonic()
        assert all(_answers(leg) for _ in range(10))
        assert time.monotonic() - began < 5
        slow[19].sendall(HEALTH[19:])
        assert slow[19].recv(4096).startswith(b"HTTP/1.1 200")
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_harms_nobody(leg: Server, garbage: bytes) -> None:
    """What is no request is refused or ignored, and the same process serves the next one."""
    worker = leg.worker
    with _connect(leg) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
        received = _read_to_end(connection)
    assert b"200 OK" not in received
    assert b"Traceback" not in received
    assert _answers(leg)
    assert leg.worker == worker


def test_random_bytes_and_cut_connections_leave_nothing_open(leg: Server) -> None:
    """After three hundred rude clients the server has no more files open than before."""
    chance = random.Random(7)  # noqa: S311 - rude clients need no secrets
    folder = Path(f"/proc/{leg.worker}/fd")
    assert _answers(leg)
    before = len(os.listdir(folder))
    for number in range(300):
        connection = _connect(leg)
        data = chance.randbytes(200) if number % 2 else HEALTH[: chance.randrange(len(HEALTH))]
        connection.sendall(data)
        connection.close()
    assert _answers(leg)
    wait_until(lambda: len(os.listdir(folder)) <= before + 3, seconds=30)


def test_a_server_without_a_master_ends(start_server: Callable[..., Server]) -> None:
    """When its parents are killed, the serving process does not live on."""
    server = start_server()
    running, worker = processes_of(server.process.pid), server.worker
    for pid in sorted(running):
        if pid != worker:
            os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    wait_until(lambda: processes_of(server.process.pid) == {})
