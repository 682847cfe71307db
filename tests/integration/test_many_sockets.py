"""How many can be there at once: ten thousand idle pages, and a clean answer above each limit."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import requests

from tests.crowd import Crowd, cookie_of, crowds
from tests.serving import Page, Server
from tests.socket_client import ConnectionRefused
from tests.waiting import wait_until

MANY = 10_000
LEGS = ["eventlet", "threading"]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _total(crowd: list[Crowd], name: str) -> int:
    return sum(int(each.ask()[name]) for each in crowd)


@pytest.fixture
def many_files() -> None:
    """A process may open as many files as the test needs; where it may not, root changes that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * MANY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, 2 * MANY))


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("many_files")
def test_ten_thousand_idle_pages(start_server: Callable[..., Server]) -> None:
    """Ten thousand pages of two users are held over their heartbeats, while a third user logs in, starts and stops.

    Each of them is told of that run in its header.
    """
    server = start_server(ASYNC_STACK="eventlet", MAX_CONNECTIONS="12000", USER_SOCKETS="10000")
    cookies = [cookie_of(server.log_in(user)) for user in (0, 1)]
    with crowds(server.url, cookies, MANY) as crowd:
        told = [each.told() for each in crowd]
        assert sum(each["open"] for each in told) == MANY, told
        person = server.log_in()
        page = server.page(person)
        run = page.start("lines", count=100_000, pause=0.05)
        page.wait_for_text(run, "3\n")
        wait_until(lambda: _total(crowd, "running") == MANY, seconds=60, pause=0.2)
        assert page.call("stop_request", {"run": run})["ok"]
        assert page.wait_for_end(run, 10)["status"] == "stopped"
        wait_until(lambda: _total(crowd, "running") == 0, seconds=60, pause=0.2)
        wait_until(lambda: _total(crowd, "answered") >= MANY, seconds=60, pause=0.2)
        assert requests.get(f"{server.url}/healthz", timeout=5).ok
        assert _total(crowd, "open") == MANY
        assert page.gaps == []
        page.close()


def _ask(server: Server, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


@pytest.mark.parametrize(
    ("stack", "settings", "room"),
    [
        ("eventlet", {"MAX_CONNECTIONS": "12"}, 12),
        # Two threads are kept for those without a page.
        ("threading", {"THREADS": "8"}, 6),
    ],
)
def test_above_the_limit_the_answer_is_503(
    start_server: Callable[..., Server], stack: str, settings: dict[str, str], room: int
) -> None:
    """The page above the limit is refused at once and told when to come again; others stay, a free place is taken."""
    server = start_server(ASYNC_STACK=stack, **settings)
    person = server.log_in()
    person.close()
    cookie = cookie_of(person)
    with crowds(server.url, [cookie], room, 1) as (crowd,):
        assert crowd.told()["open"] == room
        # Who watches the server is answered all the same.
        assert requests.get(f"{server.url}/healthz", timeout=5).ok
        assert "ready" in requests.get(f"{server.url}/readyz", timeout=5).json()["status"]
        for _ in range(3):
            with crowds(server.url, [cookie], 5, 1) as (late,):
                told = late.told()
                assert (told["open"], told["refused"], told["lost"]) == (0, 5, 0)
        assert crowd.ask()["open"] == room
    wait_until(lambda: _can_open(server, person))


def _can_open(server: Server, person: requests.Session) -> bool:
    try:
        page = server.page(person)
    except OSError:
        return False
    except Exception as error:
        if "503" in str(error):
            return False
        raise
    page.close()
    return True


def test_a_full_server_says_so_to_everybody(start_server: Callable[..., Server]) -> None:
    """A request to a server that is full gets a whole answer with the headers of every answer, and silence is cut."""
    server = start_server(ASYNC_STACK="eventlet", MAX_CONNECTIONS="10")
    cookie = cookie_of(server.log_in())
    wait_until(lambda: requests.get(f"{server.url}/", timeout=5, allow_redirects=False).status_code == 302)
    with crowds(server.url, [cookie], 10, 1) as (crowd,):
        told = crowd.told()
        # A connection that a browser keeps open may have had a place.
        assert told["open"] + told["refused"] == 10
        silent = [socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) for _ in range(20)]
        answer = _ask(server, b"POST /jobs/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc").decode()
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 503 ")
        assert "Retry-After: 5" in head
        assert "Content-Security-Policy: default-src 'none'" in head
        assert f"Content-Length: {len(body)}" in head
        for each in silent:
            each.settimeout(10)
            assert each.recv(100) == b""
            each.close()
        assert crowd.ask()["open"] == told["open"]


@pytest.mark.parametrize("stack", LEGS)
def test_a_user_has_a_number_of_pages(start_server: Callable[..., Server], stack: str) -> None:
    """One page too many is refused with a sentence and stands in the audit record; a closed page makes room."""
    server = start_server(ASYNC_STACK=stack, USER_SOCKETS="3", LOG_FORMAT="json")
    ann, bob = server.log_in(0), server.log_in(1)
    pages = [server.page(ann) for _ in range(3)]
    with pytest.raises(ConnectionRefused) as refused:
        server.page(ann)
    answer = json.loads(str(refused.value)[2:])
    assert answer["message"] == "too_many"
    assert "3 pages" in answer["data"]["message"]
    server.page(bob).close()
    wait_until(lambda: '"reason": "too_many"' in server.log.read_text(), server.log)
    pages.pop().close()
    again: list[Page] = []

    def opens() -> bool:
        try:
            again.append(server.page(ann))
        except ConnectionRefused:
            return False
        return True

    wait_until(opens)
    for page in [*pages, *again]:
        page.close()
