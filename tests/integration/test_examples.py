"""The examples' limits: of their websockets, their connections of Socket.IO, the server's end, and the setting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from websocket import WebSocketBadStatusException, create_connection

from tests.api import Api, make_token
from tests.plain_websocket import VIEW, close_code, refusal
from tests.serving import Server
from tests.waiting import wait_until


def test_a_user_has_so_many(start_server: Callable[..., Server]) -> None:
    """One more is refused; a stream of the API counts too, and another user does not."""
    server = start_server(USER_SOCKETS="2")
    address = server.url.replace("http", "ws", 1) + "/examples/plain"
    tokens = [make_token(server.url, server.log_in(user)) for user in (0, 1)]
    headers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    api = Api(server.url, tokens[0])
    stream = api.stream(f"/runs/{api.start('lines', count=100_000, pause=0.05)}/output.sse")
    opened: list[Any] = [create_connection(address, header=headers[0], suppress_origin=True, timeout=20)]
    status, body = refusal(lambda **_: create_connection(address, header=headers[0], timeout=20, suppress_origin=True))
    assert (status, b'"too_many"' in body) == (429, True)
    opened.append(create_connection(address, header=headers[1], suppress_origin=True, timeout=20))
    assert {each.recv() for each in opened} == {VIEW}
    opened[0].close()
    wait_until(lambda: _opens(address, headers[0]))
    stream.close()
    for each in opened:
        each.shutdown()


def _opens(address: str, header: dict[str, str]) -> bool:
    try:
        create_connection(address, header=header, suppress_origin=True, timeout=20).close()
    except WebSocketBadStatusException:
        return False
    return True


def test_the_end_of_the_server_ends_it(start_server: Callable[..., Server]) -> None:
    """With a word, and without holding the server up."""
    server = start_server()
    header = {"Authorization": f"Bearer {make_token(server.url, server.log_in(), 'read')}"}
    address = server.url.replace("http", "ws", 1) + "/examples/streamed"
    connection = create_connection(address, header=header, suppress_origin=True, timeout=20)
    assert connection.recv() == VIEW
    server.process.terminate()
    assert close_code(connection) == 1001
    assert server.process.wait(15) == 0


@pytest.mark.parametrize("socket_id", ["", "x" * 20, "../", "A" * 500])
def test_a_connection_of_socket_io_must_be_ones_own(server: Server, person: requests.Session, socket_id: str) -> None:
    """Another one answers like none."""
    answer = person.get(f"{server.url}/examples/plain", params={"socket": socket_id}, timeout=20)
    assert answer.status_code == 404
    stranger = server.page(server.log_in(1))
    path = f"{server.url}/examples/plain?socket={stranger.client.sid}"
    assert person.get(path, timeout=20).status_code == 404
    stranger.close()


def test_no_examples_where_they_are_off(start_server: Callable[..., Server]) -> None:
    """Their addresses are then none; wrong middleware ends the start with a line."""
    server = start_server(EXAMPLES="off")
    assert server.log_in().get(f"{server.url}/examples/plain", timeout=20).status_code == 404
    with pytest.raises(AssertionError, match=r"WSGI_MIDDLEWARE: tests\.monitoring:broken cannot be put around"):
        start_server(WSGI_MIDDLEWARE="tests.monitoring:broken")
