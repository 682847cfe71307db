"""A running product for tests: one web server for all of a test session, on the leg that ASYNC_STACK names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from app.model import new_id
from tests.api import Api, make_token, revoke_tokens
from tests.client import Client
from tests.integration.simulator_fixture import Simulator
from tests.killable import Valkey
from tests.serving import Page, Server, running_server
from tests.watcher import Watcher

SECRETS = {"CLIENT_ID": "a-client", "CLIENT_SECRET": "a-client-secret"}
JOBS = str(Path(__file__).parent / "jobs")


def settings_for(valkey: Path, simulator: Simulator, folder: Path) -> dict[str, Any]:
    """The settings of a server that has its own keys, the tests' store, the tests' jobs and the stand-in."""
    return {
        **SECRETS,
        "REDIS_URL": f"unix://{valkey}",
        "PROVIDER_URL": simulator.url,
        "KEY_DIR": str(folder),
        "ARCHIVE_DIR": str(folder / "archive"),
        "JOBS": f"jobs,{JOBS}",
        # A test may press Start more often in a minute than people do.
        "USER_STARTS": "100000",
    }


@pytest.fixture(scope="session")
def server(
    _valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The product, running; tests share it and each logs in for itself."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder / "log", **settings_for(_valkey_socket, _shared_simulator, folder)) as running:
        yield running


@pytest.fixture
def start_server(store_socket: Path, _shared_simulator: Simulator, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts another server of its own, with more settings."""
    with ExitStack() as stack:

        def start(**settings: str) -> Server:
            base = settings_for(store_socket, _shared_simulator, tmp_path)
            return stack.enter_context(running_server(tmp_path / "log", **{**base, **settings}))

        yield start


@pytest.fixture
def store_settings(valkey: Valkey, _shared_simulator: Simulator, tmp_path: Path) -> dict[str, Any]:
    """The settings of a server whose store is the test's own `valkey`."""
    return settings_for(valkey.socket, _shared_simulator, tmp_path)


@pytest.fixture
def start_alone(store_settings: dict[str, Any], tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """As start_server, with a store of the test's own: nobody else is counted there."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running_server(tmp_path / "log", **{**store_settings, **settings}))


@pytest.fixture
def watch() -> Iterator[Callable[..., Watcher]]:
    """A function that has a person watch a run by some servers; whoever watches leaves at the end."""
    opened: list[Watcher] = []

    def open_(person: requests.Session, run: str, *servers: Server) -> Watcher:
        opened.append(Watcher([server.url for server in servers], person, run))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def person(server: Server) -> requests.Session:
    """Somebody who is logged in."""
    return server.log_in()


@pytest.fixture
def page(server: Server, person: requests.Session) -> Iterator[Page]:
    """That person's page."""
    opened = server.page(person)
    yield opened
    opened.close()
    assert opened.gaps == []


@pytest.fixture
def new_token() -> Iterator[Callable[..., str]]:
    """A function that makes a token, as make_token does; revoked at the end, since a person has only so many."""
    made: list[tuple[str, requests.Session, str]] = []

    def make(url: str, person: requests.Session, *scopes: str) -> str:
        made.append((url, person, new_id()))
        return make_token(url, person, *scopes, name=made[-1][2])

    yield make
    for each in made:
        with suppress(requests.RequestException):
            revoke_tokens(*each)


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    """A program with a token of the first person's, with all scopes."""
    person, name = server.log_in(), new_id()
    yield Api(server.url, make_token(server.url, person, name=name))
    # A person has only so many.
    with suppress(requests.RequestException):
        revoke_tokens(server.url, server.log_in(), name)


@pytest.fixture
def client(api: Api, tmp_path: Path) -> Client:
    """The command line of the person whose token `api` has."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Client(folder, api.home, api.token)
