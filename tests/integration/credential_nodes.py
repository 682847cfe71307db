"""Nodes that keep tokens: several on one store, with the stand-in as provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet

from app.config import load_settings
from app.credentials import Credentials
from app.errors import RealtimeError
from app.model import Token
from app.provider import Provider
from app.stack import Stack
from app.store.connection import connect
from app.store.tokens import TokenStore
from tests.integration.simulator_fixture import Simulator

ANN = "ann"
KEY = Fernet.generate_key()
WEEK = 7 * 86_400.0
Nodes = Callable[..., Credentials]


@pytest.fixture
def nodes(stack: Stack, valkey_url: str, simulator: Simulator) -> Nodes:
    """A function that makes the credentials of one more node on the same store."""

    def make(**settings: Any) -> Credentials:
        values = {"provider_url": simulator.url, "client_id": "control", "client_secret": "s", "redis_url": valkey_url}
        read = load_settings(None, **{**values, **settings})
        return Credentials(read, stack, Provider(read), TokenStore(connect(read, stack), MultiFernet([Fernet(KEY)])))

    return make


def login(node: Credentials, simulator: Simulator, left: float = 100.0, life: float = WEEK) -> Token:
    """Tokens of the stand-in, stored as a login would, whose access token ends in `left` seconds."""
    pair, now = simulator.new_tokens(), time.time()
    token = Token(pair["access_token"], now + left - life, now + left, pair["refresh_token"], now + WEEK)
    node.save(ANN, token)
    return token


def together(stack: Stack, calls: list[Callable[[], Any]]) -> list[Any]:
    """The results of hub calls that are made at the same time; an error is its own result."""
    results: list[Any] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            results.append(call())
        except RealtimeError as error:
            results.append(error)

    for call in calls:
        stack.spawn(run, call)
    deadline = time.monotonic() + 20
    while len(results) < len(calls) and time.monotonic() < deadline:
        stack.sleep(0.01)
    return results


def until(stack: Stack, true: Callable[[], bool]) -> None:
    """Wait in the hub for something to come true."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        stack.sleep(0.02)


def refreshes(simulator: Simulator) -> int:
    """How many refreshes the provider was asked for."""
    return simulator.count("grant:refresh_token")
