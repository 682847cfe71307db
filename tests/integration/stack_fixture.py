"""Both async stacks inside the test's own process."""

from __future__ import annotations

import socket
import ssl

import pytest
import redis.connection

from app.stack import Stack, make_stack


@pytest.fixture(params=["eventlet", "threading"])
def stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Each async stack in turn; redis has its own sockets again afterwards."""
    monkeypatch.setattr(redis.connection, "socket", socket)
    monkeypatch.setattr(redis.connection, "ssl", ssl)
    made = make_stack(request.param)
    made.listen()
    return made
