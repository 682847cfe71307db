"""Refreshing tokens where the provider is slow, away, or makes no sense."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet, MultiFernet

from app.errors import LoginAgain, ProviderUnavailable, RealtimeError
from app.model import Token
from app.stack import Stack
from app.store.tokens import TokenStore
from tests.hostile import hostile_provider
from tests.integration.credential_nodes import ANN, KEY, WEEK, Nodes, login, refreshes, together
from tests.integration.simulator_fixture import Simulator
from tests.serving import free_port


def test_a_good_token_outlives_a_failing_refresh(nodes: Nodes, simulator: Simulator) -> None:
    """While the access token is good, a refresh that fails is no failure, and is not tried at each call."""
    one = nodes()
    old = login(one, simulator)
    simulator.fault("/access_token", status=502, times=99)
    assert {one.get(ANN) for _ in range(10)} == {old.access}
    assert simulator.count("/access_token") == 1


def test_a_good_token_outlives_a_refused_refresh(nodes: Nodes, simulator: Simulator) -> None:
    """Where the refresh token is dead, the access token is used to its end, and then a new login is asked for."""
    one = nodes()
    old = login(one, simulator, left=4.0)
    simulator.expire("refresh")
    assert [one.get(ANN) for _ in range(5)] == [old.access] * 5
    assert simulator.count("/access_token") == 1
    time.sleep(4.1)
    with pytest.raises(LoginAgain, match="log in again"):
        one.get(ANN)
    assert simulator.count("/access_token") == 1


def test_an_ended_token_and_a_dead_provider(nodes: Nodes, simulator: Simulator) -> None:
    """Without a good token and without a provider the call ends with a sentence that names no token."""
    one = nodes(provider_url=f"http://127.0.0.1:{free_port()}/v1")
    token = login(one, simulator, left=-1)
    with pytest.raises(ProviderUnavailable, match="Webex does not answer") as caught:
        one.get(ANN)
    assert not any(secret in str(caught.value) for secret in token.secrets)


def test_a_slow_provider_is_waited_for_once(stack: Stack, nodes: Nodes, simulator: Simulator) -> None:
    """Nobody waits over 5 s; the refresh goes on meanwhile, and its rotated tokens are there afterwards."""
    one = nodes()
    login(one, simulator, left=-1)
    simulator.fault("/access_token", delay=9.5)
    began = time.monotonic()
    results = together(stack, [lambda: one.get(ANN)] * 5)
    assert 4 < time.monotonic() - began < 9
    assert all(isinstance(result, ProviderUnavailable) for result in results)
    assert one.get(ANN) == simulator.tokens()[-1]
    assert refreshes(simulator) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no json",
        "[]",
        "{}",
        "[" * 100_000,
        '{"access_token": ""}',
        '{"access_token": 5}',
        '{"access_token": null}',
        '{"access_token": "CANARY-token-1\\r\\nX-Evil: 1", "expires_in": 60}',
        '{"access_token": "CANARY-token-1", "expires_in": "soon"}',
        '{"access_token": "CANARY-token-1", "expires_in": -5}',
        '{"access_token": "CANARY-token-1", "expires_in": true}',
        '{"access_token": "CANARY-token-1", "expires_in": 1e999}',
        '{"access_token": "CANARY-token-1", "refresh_token": ["CANARY"]}',
        '{"access_token": "CANARY-token-1", "pad": "' + "x" * 1_100_000 + '"}',
    ],
    ids=lambda body: body[:60] or "empty",
)
def test_answers_that_make_no_sense(nodes: Nodes, caplog: pytest.LogCaptureFixture, body: str) -> None:
    """Whatever the provider answers, the user is told in a sentence, and no token is stored, shown or logged."""
    caplog.set_level(logging.DEBUG)
    with hostile_provider() as provider:
        provider.body = body.encode()
        one = nodes(provider_url=provider.url)
        old = Token("OLD-CANARY-access", time.time() - WEEK, time.time() - 1, "OLD-CANARY-refresh", time.time() + WEEK)
        one.save(ANN, old)
        with pytest.raises(ProviderUnavailable, match="makes no sense") as caught:
            one.get(ANN)
        assert provider.asked == ["/v1/access_token"]
    assert "CANARY" not in str(caught.value) + caplog.text
    assert one.secrets(ANN) == old.secrets


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ({"access_token": "a-good-token", "expires_in": 900}, 900),
        ({"access_token": "a-good-token", "expires_in": "900", "token_type": "odd"}, 900),
        ({"access_token": "a-good-token"}, 3600),
        ({"access_token": "a-good-token", "refresh_token": None, "expires_in": 900}, 900),
        ({"access_token": "a-good-token", "expires_in": 10**12}, 315_360_000),
    ],
)
def test_bare_answers(nodes: Nodes, redis_client: redis.Redis, reply: dict[str, Any], left: int) -> None:
    """Answers with as little as OAuth allows serve; without a new refresh token the old one stays."""
    with hostile_provider() as provider:
        provider.body = json.dumps(reply).encode()
        one = nodes(provider_url=provider.url)
        one.save(ANN, Token("old-access", time.time() - WEEK, time.time() - 1, "old-refresh", time.time() + WEEK))
        assert one.get(ANN) == "a-good-token"
    assert one.secrets(ANN) == ("a-good-token", "old-refresh")
    stored = TokenStore(redis_client, MultiFernet([Fernet(KEY)])).load(ANN)
    assert stored is not None
    assert stored.expires - time.time() == pytest.approx(left, abs=5)
    assert stored.refresh_expires - time.time() == pytest.approx(WEEK, abs=5)


@pytest.mark.parametrize("status", [301, 307, 308])
def test_secrets_follow_no_redirect(nodes: Nodes, status: int) -> None:
    """A provider that redirects the token request elsewhere gets no second one, there or here."""
    with hostile_provider() as provider, hostile_provider() as thief:
        provider.status, provider.headers = status, {"Location": f"{thief.url}/access_token"}
        one = nodes(provider_url=provider.url)
        one.save(ANN, Token("old-access", time.time() - WEEK, time.time() - 1, "old-refresh"))
        with pytest.raises(ProviderUnavailable):
            one.get(ANN)
        assert thief.asked == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"error": "invalid_grant"}', LoginAgain),
        (400, b"<html>", LoginAgain),
        (401, b'{"message": "no"}', LoginAgain),
        (401, b'{"error": "invalid_client"}', ProviderUnavailable),
        (429, b"<html>", ProviderUnavailable),
        (500, b'{"error": "invalid_grant"}', ProviderUnavailable),
    ],
)
def test_refusals_and_failures(nodes: Nodes, status: int, body: bytes, error: type[RealtimeError]) -> None:
    """A refused refresh asks for a new login; trouble of the provider, or of our registration there, does not."""
    with hostile_provider() as provider:
        provider.status, provider.body = status, body
        one = nodes(provider_url=provider.url)
        one.save(ANN, Token("old-access", time.time() - WEEK, time.time() - 1, "old-refresh"))
        with pytest.raises(error):
            one.get(ANN)
