"""Streams, websockets and middleware in every combination: the table of sixteen, all plus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.api import make_token
from tests.crowd import cookie_of
from tests.integration.simulator_fixture import Simulator
from tests.monitoring import HEADER
from tests.server_fixture import settings_for
from tests.serving import Page, Server, running_server
from tests.socket_client import SocketClient
from tests.waiting import wait_until

MIDDLEWARE = {"monitoring": "tests.monitoring:Monitor", "goodbyer": "app.hellogoodbyer:HelloGoodbyer"}
CHANGING = "changing hellos to goodbyes"
ROWS = [
    pytest.param((stack, *around), id="-".join((stack, *around)))
    for stack in ("eventlet", "threading")
    for around in (("monitoring", "goodbyer"), ("monitoring",), ("goodbyer",), ())
]


class Row:
    """A server with these switches, and somebody with a token."""

    def __init__(self, server: Server, switches: tuple[str, ...]) -> None:
        self.server, self.switches = server, switches
        self.person = server.log_in()
        self.token = make_token(server.url, self.person, "read")

    def view(self, streamed: bool) -> str:
        """The address of a view."""
        return f"/examples/{'streamed' if streamed else 'plain'}"

    @property
    def word(self) -> str:
        """How people are greeted."""
        return "Goodbye" if "goodbyer" in self.switches else "Hello"


@pytest.fixture(scope="module", params=ROWS)
def row(
    request: pytest.FixtureRequest,
    _valkey_socket: Path,
    _shared_simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Row]:
    """Each of the eight servers in turn."""
    stack, *around = request.param
    folder = tmp_path_factory.mktemp("row")
    settings = {
        **settings_for(_valkey_socket, _shared_simulator, folder),
        "ASYNC_STACK": stack,
        "WSGI_MIDDLEWARE": ",".join(MIDDLEWARE[name] for name in around),
    }
    with running_server(folder / "log", **settings) as server:
        yield Row(server, request.param)
        assert "Traceback" not in server.log.read_text()


def _greetings(streamed: bool) -> list[str]:
    return ["Hello from view!", "Hello from iterator!"] if streamed else ["Hello from view!"]


def _text(row: Row, streamed: bool, said: list[str]) -> str:
    """What the view answers to HTTP."""
    told = [f"The answer was: {each}\n" for each in said]
    if not streamed:
        return f"{row.word} from a plain view.\n{told[0]}"
    again = "goodbye" if "goodbyer" in row.switches else "hello"
    return f"{row.word} from a streamed view.\n{''.join(told)}The end, and {again} again.\n"


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
def test_a_websocket_exchange_works(row: Row, streamed: bool) -> None:
    """The server's messages come and its client's are heard, from the view and from the iterator that streams."""
    _over_socketio(row, streamed)
    _over_a_plain_websocket(row, streamed)
    _output_flows(row)
    changed = CHANGING in row.server.log.read_text()
    assert changed == ("goodbyer" in row.switches)


def _over_socketio(row: Row, streamed: bool) -> None:
    heard: list[str] = []

    def handle(event: str, message: Any) -> str | None:
        if event != "greeting":
            return None
        heard.append(message["data"])
        return f"Thank you for {len(heard)}"

    client = SocketClient(row.server.url, cookie_of(row.person), handle)
    address = f"{row.server.url}{row.view(streamed)}?socket={client.sid}"
    with row.person.get(address, stream=True, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers.get(HEADER) == ("200 OK" if "monitoring" in row.switches else None)
        text = answer.content.decode()
        length = answer.headers.get("Content-Length")
        assert length == (None if streamed else str(len(text)))
    assert heard == _greetings(streamed)
    assert text == _text(row, streamed, [f"Thank you for {number + 1}" for number in range(len(heard))])
    assert client.connected
    client.disconnect()


def _over_a_plain_websocket(row: Row, streamed: bool) -> None:
    address = row.server.url.replace("http", "ws", 1) + row.view(streamed)
    headers = {"Authorization": f"Bearer {row.token}"}
    connection = websocket.create_connection(address, header=headers, timeout=20, suppress_origin=True)
    mark = f"{row.view(streamed)} of {row.token[:9]}"
    for greeting in _greetings(streamed):
        assert connection.recv() == greeting
        connection.send(f"{greeting} {mark}")
    code, data = connection.recv_data()
    assert (code, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, (1000).to_bytes(2, "big"))
    # Nothing of the answer that the view has made for HTTP comes behind it.
    assert connection.sock is not None
    assert connection.sock.recv(100) == b""
    connection.close()
    wait_until(lambda: f"{_greetings(streamed)[-1]} {mark}" in row.server.log.read_text(), row.server.log)


def _output_flows(row: Row) -> None:
    """What the websockets of the pages carry most has its fast way all the same, in order and whole."""
    page = Page(row.server.url, row.person)
    run = page.complete("lines", count=2000)
    assert page.text(run) == "".join(f"{number}\n" for number in range(2000))
    assert page.gaps == []
    page.close()
