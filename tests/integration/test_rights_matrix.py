"""Who may do what at each door: nobody, the owner of a run, another user; by a login, and by tokens of each scope.

The expectations stand in `tests/doors.py`, by hand: `app/rights.py` is what they try.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
import requests
import websocket

from app.model import new_id
from app.rights import DOORS
from app.sockets import door_of
from tests.api import ALL, Api, make_token, revoke_tokens
from tests.crowd import cookie_of
from tests.doors import ANY, CALLS, EVENTS, NONE, OTHERS, OWNER, PROGRAMS, PUBLIC, ROWS, UNKNOWN, Event, Row
from tests.serving import Server
from tests.socket_client import ConnectionRefused, SocketClient
from tests.waiting import wait_until

NAMESPACES = ("/", "/status", "/test")
# Tried by tests of their own here: to connect is what the others begin with, an acknowledgement has no answer.
APART = {"socket:ack", "http:rpc.call", "socket:/test:my event"} | {
    door_of(namespace, event) for namespace in NAMESPACES for event in ("connect", "disconnect")
}


class People:
    """An owner, another user, their tokens, and a run of the owner's that goes on."""

    def __init__(self, server: Server) -> None:
        self.url, self.name = server.url, new_id()
        self.owner, self.stranger = server.log_in(), server.log_in(1)
        self.tokens = {scope: make_token(server.url, self.owner, scope, name=self.name) for scope in ALL}
        self.foreign = make_token(server.url, self.stranger, name=self.name)
        self.api = Api(server.url, person=self.owner)
        self._run = ""

    @property
    def run(self) -> str:
        """A run that goes on; another one where the last has been stopped."""
        if not self._run or self.api.get(f"/runs/{self._run}")["ended"]:
            self._run = self.api.start("lines", count=100_000, pause=0.05)
        return self._run

    def close(self) -> None:
        """Leave nothing."""
        self.api.stop(self.run)
        for person in (self.owner, self.stranger):
            revoke_tokens(self.url, person, self.name)


@pytest.fixture(scope="module")
def people(server: Server) -> Iterator[People]:
    """Them."""
    made = People(server)
    yield made
    with suppress(requests.RequestException, AssertionError):
        made.close()


def _ask(people: People, row: Row, run: str, by: requests.Session | str) -> str:
    """What comes of a request by a person, or by a token ("": by nobody); `unknown` is as if there were nothing."""
    session = by if isinstance(by, requests.Session) else requests.Session()
    headers = {"Authorization": f"Bearer {by}"} if isinstance(by, str) and by else {}
    body = json.loads(json.dumps(row.body).replace("RUN", run))
    method = row.method
    if row.door.startswith("rpc:"):
        body = {"jsonrpc": "2.0", "id": 1, "method": row.door.removeprefix("rpc:"), "params": body}
        method = "POST"
    address = people.url + row.path.replace("RUN", run)
    with session.request(
        method, address, json=body, headers=headers, timeout=30, allow_redirects=False, stream=True
    ) as answer:
        # A download goes on for as long as its run does.
        text = "" if row.door == "http:downloads.output" else answer.text
        return _outcome(row, answer, text)


def _outcome(row: Row, answer: requests.Response, text: str) -> str:
    status = answer.status_code
    if row.asks == PUBLIC:
        return "allowed" if status in row.status else f"{status} {text[:200]}"
    if status == requests.codes.unauthorized or "/authorize?" in answer.headers.get("Location", ""):
        return "log in"
    number = json.loads(text).get("error", {}).get("code") if row.door.startswith("rpc:") else None
    if number == -32003 or (status == requests.codes.forbidden and "lacks the scope" in text):
        return "lacks a scope"
    if status in row.status:
        return "allowed"
    if number == -32004 or status == requests.codes.not_found:
        return "unknown"
    return "allowed" if status < requests.codes.bad_request else f"{status} {text[:200]}"


def _by_login(asks: str, *, owner: bool) -> str:
    if asks == OTHERS or (asks == OWNER and not owner):
        return "unknown"
    return "allowed"


def _named(rows: Sequence[Row | Event]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.door) for row in rows])


def test_every_door_is_tried() -> None:
    """A door that is new needs a row here, too."""
    assert {each.door for each in ROWS} | {each.door for each in EVENTS} | APART == set(DOORS)


@_named(ROWS)
def test_by_a_login(people: People, row: Row) -> None:
    """Nobody is asked to log in, another user finds nothing of a run, and its owner is let through."""
    run = people.run
    assert _ask(people, row, run, "") == ("allowed" if row.asks == PUBLIC else "log in")
    assert _ask(people, row, run, people.stranger) == _by_login(row.asks, owner=False)
    assert _ask(people, row, UNKNOWN, people.stranger) == _by_login(row.asks, owner=False)
    assert _ask(people, row, run, people.owner) == _by_login(row.asks, owner=True)


@_named(ROWS)
def test_by_tokens(people: People, row: Row) -> None:
    """Each scope opens its doors and no others; a token with all of them opens no foreign run, and no page."""
    run = people.run
    for scope, token in people.tokens.items():
        expected = _by_login(row.asks, owner=True)
        if row.scope == NONE and row.asks != PUBLIC:
            expected = "log in"
        elif row.scope not in (NONE, ANY) and scope not in row.scope.split():
            expected = "lacks a scope"
        assert _ask(people, row, run, token) == expected, scope
    foreign = _by_login(row.asks, owner=False) if row.scope != NONE or row.asks == PUBLIC else "log in"
    assert _ask(people, row, run, people.foreign) == foreign
    wrong = "allowed" if row.asks == PUBLIC else "log in"
    assert _ask(people, row, run, "frt_" + "A" * 43) == wrong


@pytest.fixture(scope="module")
def sockets(people: People) -> Iterator[dict[str, SocketClient]]:
    """The two people's open connections of Socket.IO."""
    persons = {"owner": people.owner, "stranger": people.stranger}
    opened = {name: SocketClient(people.url, cookie_of(person), lambda *_: None) for name, person in persons.items()}
    yield opened
    for each in opened.values():
        each.disconnect()


@_named(EVENTS)
def test_by_events(people: People, sockets: dict[str, SocketClient], row: Event) -> None:
    """As by HTTP; a foreign run is answered like an unknown one, to the letter."""
    name, run = row.door.removeprefix("socket:"), people.run

    def call(person: str, meant: str) -> Any:
        return sockets[person].call(name, json.loads(json.dumps(row.message).replace("RUN", meant)))

    owners, foreign, unknown = call("owner", run), call("stranger", run), call("stranger", UNKNOWN)
    assert owners["ok"] or owners["error"]["code"] in ("not_waiting", "forbidden"), owners
    if row.asks == OWNER:
        assert foreign == unknown
        assert foreign["error"]["code"] == "not_found"
    else:
        assert foreign["ok"]


def test_an_acknowledgement_opens_nothing(people: People, sockets: dict[str, SocketClient]) -> None:
    """Of a foreign run nothing comes of it, and the connection lives on."""
    heard: list[Any] = []
    client = SocketClient(people.url, cookie_of(people.stranger), lambda *message: heard.append(message))
    client.emit("ack", {"run": people.run, "position": 0})
    assert client.call("watch", {"run": people.run})["error"]["code"] == "not_found"
    assert [message for event, message in heard if event == "output"] == []
    client.disconnect()


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_nobody_connects_by_socket_io_and_no_token_does(people: People, namespace: str) -> None:
    """The session's cookie alone opens a connection, to each namespace."""
    with pytest.raises(ConnectionRefused, match="login_required"):
        SocketClient(people.url, "", lambda *_: None, namespace=namespace)
    address = people.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    for token in (*people.tokens.values(), people.foreign):
        header = {"Authorization": f"Bearer {token}"}
        connection = websocket.create_connection(address, header=header, origin=people.url, timeout=20)
        connection.recv()
        connection.send("40" if namespace == "/" else f"40{namespace},")
        assert "login_required" in str(connection.recv())
        connection.close()
    for person in (people.owner, people.stranger):
        SocketClient(people.url, cookie_of(person), lambda *_: None, namespace=namespace).disconnect()


def test_events_of_a_namespace_are_for_who_has_connected_to_it(people: People) -> None:
    """One who is logged in is answered; whoever was refused sends in vain."""
    heard: list[Any] = []

    def handle(event: str, message: Any) -> None:
        heard.append((event, message))

    client = SocketClient(people.url, cookie_of(people.stranger), handle, namespace="/test")
    client.emit("my event", {"data": "of the matrix"})
    wait_until(lambda: ("my response", {"data": "of the matrix", "count": 1}) in heard)
    client.disconnect()
    address = people.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    nobody = websocket.create_connection(address, origin=people.url, timeout=3)
    said = [str(nobody.recv())]
    for packet in ("40/test,", '42/test,["my event",{"data":"x"}]'):
        nobody.send(packet)
    with suppress(OSError, websocket.WebSocketException):
        while True:
            said.append(str(nobody.recv()))
    nobody.close()
    assert "my response" not in "".join(said)
    assert "login_required" in "".join(said)


def test_a_foreign_run_is_answered_like_an_unknown_one_to_the_letter(people: People) -> None:
    """By HTTP and JSON-RPC."""
    run = people.run
    for row in (each for each in [*PROGRAMS, *CALLS] if each.asks == OWNER):
        body = json.dumps(row.body)
        texts = []
        for meant in (run, UNKNOWN):
            data: Any = json.loads(body.replace("RUN", meant))
            if row.door.startswith("rpc:"):
                data = {"jsonrpc": "2.0", "id": 1, "method": row.door.removeprefix("rpc:"), "params": data}
            answer = people.stranger.request(
                "POST" if row.door.startswith("rpc:") else row.method,
                people.url + row.path.replace("RUN", meant),
                json=data,
                timeout=30,
            )
            texts.append((answer.status_code, answer.text.replace(meant, "RUN")))
        assert texts[0] == texts[1], row.door


def test_calls_ask_for_a_login_before_anything_is_read(people: People) -> None:
    """The door of JSON-RPC itself: nobody's body is parsed, whatever it is."""
    for data in (b"{", b"[]", b'{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x"]}'):
        answer = requests.post(f"{people.url}/rpc", data=data, headers={"Content-Type": "application/json"}, timeout=20)
        assert answer.status_code == 401
