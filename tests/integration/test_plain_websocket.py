"""Plain websockets: who may open them, what they do with hostile clients, and what ends them."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import websockets.sync.client
from websocket import ABNF, WebSocket, create_connection

from app.model import new_id
from tests.api import make_token, revoke_tokens
from tests.crowd import cookie_of
from tests.plain_websocket import VIEW, Open, close_code, refusal
from tests.serving import Server
from tests.waiting import took, wait_until


@pytest.fixture
def token(server: Server) -> Iterator[str]:
    """The first person's, without any scope that would open a door of the API's."""
    name = new_id()
    yield make_token(server.url, server.log_in(), "channels", name=name)
    revoke_tokens(server.url, server.log_in(), name)


@pytest.fixture
def connect(server: Server, token: str) -> Iterator[Open]:
    """A function that opens a plain websocket, by a token where nothing else is said."""
    opened: list[Any] = []

    def open_(path: str = "/examples/plain", **options: Any) -> WebSocket:
        options.setdefault("header", {"Authorization": f"Bearer {token}"})
        options.setdefault("suppress_origin", "origin" not in options)
        address = server.url.replace("http", "ws", 1) + path
        made = create_connection(address, timeout=20, **options)
        opened.append(made)
        return made

    yield open_
    for each in opened:
        each.shutdown()


def _open_files(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.worker}/fd"))


def test_a_program_without_a_login_is_told_so(connect: Open) -> None:
    """401 as a problem document, not a way to a page."""
    wrong: list[dict[str, Any]] = [
        {},
        {"header": {"Authorization": "Bearer frt_" + "A" * 43}},
        {"cookie": "frt_session=x"},
    ]
    for options in wrong:
        status, body = refusal(connect, **{"header": {}, **options})
        assert (status, b'"login_required"' in body) == (401, True)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example", "http://localhost"])
def test_another_sites_page_opens_none_by_our_cookie(
    server: Server, person: requests.Session, connect: Open, origin: str
) -> None:
    """With the cookie a foreign Origin is refused; ours, or none, is not. A token may come from any."""
    cookie = cookie_of(person)
    status, body = refusal(connect, header={}, cookie=cookie, origin=origin)
    assert (status, b"Another site" in body) == (403, True)
    assert connect(header={}, cookie=cookie, origin=server.url).recv() == VIEW
    assert connect(header={}, cookie=cookie).recv() == VIEW
    assert connect(origin=origin).recv() == VIEW


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-WebSocket-Version": "8"}, 400),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Upgrade": "h2c"}, 200),
        ({"Connection": "keep-alive"}, 400),
        ({"Sec-WebSocket-Version": "x" * 1000}, 400),
    ],
)
def test_what_is_no_handshake_is_refused(
    server: Server, token: str, headers: dict[str, str | None], status: int
) -> None:
    """By a problem document that says what is expected, on a connection that goes on to be HTTP's."""
    with requests.Session() as program:
        right = {
            **{"Authorization": f"Bearer {token}", "Connection": "Upgrade", "Upgrade": "websocket"},
            **{"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
        }
        asked = {name: value for name, value in {**right, **headers}.items() if value is not None}
        answer = program.get(f"{server.url}/examples/plain", headers=asked, timeout=20)
        assert answer.status_code in (status, 400), answer.text
        assert "101" not in answer.headers
        assert answer.json()["code"] == "bad_request" if answer.status_code == 400 else "Hello" in answer.text
        assert program.get(f"{server.url}/healthz", timeout=20).ok


def test_no_other_address_takes_a_websocket(server: Server, token: str, connect: Open) -> None:
    """Pages and the API refuse the handshake."""
    for path in ("/", "/examples/", "/api/v1.0/me", "/no/such/page"):
        status, _ = refusal(connect, path=path)
        assert status in (400, 401, 404), path


def test_subprotocols_and_compression_are_not_agreed_on(server: Server, token: str) -> None:
    """Who asks for them gets a websocket without; whether that will do is theirs to say."""
    address = server.url.replace("http", "ws", 1) + "/examples/plain"
    asked: dict[str, Any] = {"subprotocols": ["mqtt", "x" * 500], "compression": "deflate"}
    with websockets.sync.client.connect(
        address, additional_headers={"Authorization": f"Bearer {token}"}, **asked
    ) as connection:
        assert connection.subprotocol is None
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
        assert connection.recv(20) == VIEW


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([ABNF(1, 0, 0, 0, ABNF.OPCODE_BINARY, 1, b"\x00\xff")], 1003, id="binary"),
        pytest.param([ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 1, b"\xff\xfe")], 1007, id="no UTF-8"),
        pytest.param([ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 1, b"x" * 65_537)], 1009, id="long"),
        pytest.param(
            [ABNF(0, 0, 0, 0, opcode, 1, b"x" * 40_000) for opcode in (ABNF.OPCODE_TEXT, ABNF.OPCODE_CONT)],
            1009,
            id="long in fragments",
        ),
        pytest.param([ABNF(1, 1, 0, 0, ABNF.OPCODE_TEXT, 1, b"x")], 1002, id="compressed without being asked"),
        pytest.param([ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 0, b"x")], 1002, id="no mask"),
        pytest.param([ABNF(1, 0, 0, 0, ABNF.OPCODE_CONT, 1, b"x")], 1002, id="goes on with nothing"),
        pytest.param([ABNF(1, 0, 0, 0, ABNF.OPCODE_CLOSE, 1, b"\x03")], 1002, id="half a close code"),
    ],
)
def test_wrong_frames_close_it_with_a_reason(connect: Open, frames: list[ABNF], code: int) -> None:
    """And take nobody else with them."""
    connection = connect()
    assert connection.recv() == VIEW
    sock = connection.sock
    assert sock is not None
    for frame in frames:
        with contextlib.suppress(OSError):
            sock.sendall(frame.format())
    assert close_code(connection) == code
    assert connect().recv() == VIEW


def test_a_frame_that_says_to_be_huge_is_not_waited_for(connect: Open) -> None:
    """What it has is counted as it comes, and never kept beyond the limit."""
    connection = connect()
    assert connection.recv() == VIEW
    sock = connection.sock
    assert sock is not None
    with contextlib.suppress(OSError):
        sock.sendall(struct.pack("!BBQ4s", 0x81, 0xFF, 1 << 40, b"\0\0\0\0") + b"x" * 200_000)
    assert close_code(connection) == 1009


def test_pings_are_answered_and_empty_pieces_are_nothing(connect: Open) -> None:
    """A message of many pieces, with pings in between, is one message."""
    connection = connect("/examples/streamed")
    assert connection.recv() == VIEW
    sock = connection.sock
    assert sock is not None
    sock.sendall(ABNF(0, 0, 0, 0, ABNF.OPCODE_TEXT, 1, "snow ☃"[:5].encode()).format())
    for _ in range(50):
        sock.sendall(ABNF(0, 0, 0, 0, ABNF.OPCODE_CONT, 1, b"").format())
        connection.ping("are you there")
    sock.sendall(ABNF(1, 0, 0, 0, ABNF.OPCODE_CONT, 1, "☃".encode()).format())
    pongs = 0
    while (frame := connection.recv_data(control_frame=True))[0] == ABNF.OPCODE_PONG:
        assert frame[1] == b"are you there"
        pongs += 1
    assert (pongs, frame[1]) == (50, b"Hello from iterator!")


def test_who_leaves_frees_everything_at_once(server: Server, connect: Open) -> None:
    """By a word, or without one: no descriptor stays, and the view does not wait for its answer any more."""
    connect().recv()
    before = _open_files(server)
    leaving: list[Callable[[Any], object]] = [lambda each: each.close(), lambda each: each.shutdown()]
    for leave in leaving:
        opened: list[Any] = [connect("/examples/streamed") for _ in range(10)]
        assert {each.recv() for each in opened} == {VIEW}
        assert _open_files(server) >= before + 10
        for each in opened:
            leave(each)
        # The store may have been asked by more at a time than before.
        seconds, _ = took(lambda: wait_until(lambda: _open_files(server) <= before + 3, "descriptors stay"))
        assert seconds < 10


def test_a_client_that_takes_nothing_is_cut_off(server: Server, token: str) -> None:
    """It is sent pongs until nothing more goes; then the view ends, and so does the connection."""
    host, port = re.findall(r"//(.+):(\d+)", server.url)[0]
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.settimeout(20)
        slow.connect((host, int(port)))
        slow.sendall(
            f"GET /examples/plain HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert b" 101 " in slow.recv(400)
        ping = ABNF(1, 0, 0, 0, ABNF.OPCODE_PING, 1, b"p" * 125).format() * 1000
        deadline = time.monotonic() + 60

        def flood() -> None:
            while time.monotonic() < deadline:
                slow.sendall(ping)

        with pytest.raises(OSError, match=r"(?i)reset|broken"):
            flood()
        assert time.monotonic() < deadline


@pytest.mark.parametrize("by", ["token", "cookie"])
def test_what_it_came_by_ends_it(server: Server, connect: Open, by: str) -> None:
    """A token that is revoked, a login that ends: within five seconds, with the code 1001."""
    person, name = server.log_in(), new_id()
    options: dict[str, Any] = {"header": {}, "cookie": cookie_of(person)}
    if by == "token":
        options = {"header": {"Authorization": f"Bearer {make_token(server.url, person, 'read', name=name)}"}}
    connection, other = connect("/examples/streamed", **options), connect()
    assert connection.recv() == other.recv() == VIEW
    if by == "token":
        revoke_tokens(server.url, server.log_in(), name)
    else:
        assert person.get(f"{server.url}/logout", headers={"Sec-Fetch-Site": "same-origin"}, timeout=20).ok
    seconds, code = took(lambda: close_code(connection))
    assert code == 1001
    assert seconds < 5
    other.send("still here")
    assert close_code(other) == 1000


def test_silence_has_an_end(connect: Open) -> None:
    """Nothing is waited for for ever: without an answer the view goes on, and closes well."""
    connection = connect("/examples/plain")
    assert connection.recv() == VIEW
    connection.settimeout(40)
    seconds, code = took(lambda: close_code(connection))
    assert code == 1000
    assert 15 < seconds < 35


def test_the_log_has_no_complaints(server: Server) -> None:
    """Whatever clients do is no error of the server's; this test comes last."""
    assert "a request failed that had become a websocket" not in server.log.read_text()
    assert not re.findall(r"Traceback[^\n]*\n(?:.*\n)*?.*app/(?:websocket|examples|handover)", server.log.read_text())
