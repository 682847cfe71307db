"""Access tokens for jobs: always fresh, one refresh however many ask, and what remains after a logout."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet, MultiFernet

from app import credentials as module
from app.config import load_settings
from app.credentials import Credentials
from app.errors import LoginAgain, ProviderUnavailable, RealtimeError
from app.model import Token
from app.provider import Provider
from app.stack import Stack
from app.store.connection import connect
from app.store.tokens import TokenStore
from tests.hostile import hostile_provider
from tests.integration.simulator_fixture import Simulator
from tests.integration.store_fixture import dump
from tests.serving import free_port

ANN = "ann"
KEY = Fernet.generate_key()
WEEK = 7 * 86_400.0
Nodes = Callable[..., Credentials]


@pytest.fixture
def node(stack: Stack, valkey_url: str, simulator: Simulator) -> Nodes:
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


def test_parallel_calls_make_one_refresh(stack: Stack, node: Nodes, simulator: Simulator) -> None:
    """Fifty calls on one node at the same time cost one refresh, and all get the new token."""
    one = node()
    old = login(one, simulator)
    results = together(stack, [lambda: one.get(ANN)] * 50)
    assert refreshes(simulator) == 1
    assert len(results) == 50
    assert set(results) == {simulator.tokens()[-1]} != {old.access}


def test_parallel_calls_on_two_nodes_make_one_refresh(stack: Stack, node: Nodes, simulator: Simulator) -> None:
    """Fifty calls spread over two nodes cost one refresh, also while the provider is slow."""
    one, two = node(), node()
    login(one, simulator)
    simulator.fault("/access_token", delay=0.5)
    results = together(stack, [lambda: one.get(ANN), lambda: two.get(ANN)] * 25)
    assert refreshes(simulator) == 1
    assert len(results) == 50
    assert set(results) == {simulator.tokens()[-1]}


@pytest.mark.parametrize("knobs", [{"rotate": True}, {"rotate": False}, {"bare_replies": True}])
def test_refresh_again_and_again(node: Nodes, simulator: Simulator, knobs: dict[str, bool]) -> None:
    """Rotated and unchanged refresh tokens serve the next refresh, with and without token_type."""
    one = node()
    login(one, simulator, left=-1)
    simulator.turn(token_lifetime=2, **knobs)
    seen = set()
    for _ in range(3):
        seen.add(one.get(ANN))
        time.sleep(1.1)
    assert len(seen) == 3
    assert refreshes(simulator) == 3


@pytest.mark.parametrize(("left", "expected"), [(310.0, 0), (290.0, 1)])
def test_a_page_asks_for_five_minutes(node: Nodes, simulator: Simulator, left: float, expected: int) -> None:
    """For a page a token is refreshed when under 300 s remain."""
    one = node()
    login(one, simulator, left=left)
    one.get(ANN)
    assert refreshes(simulator) == expected


@pytest.mark.parametrize(("left", "expected"), [(610.0, 0), (590.0, 1)])
def test_a_job_asks_for_ten_minutes(node: Nodes, simulator: Simulator, left: float, expected: int) -> None:
    """For a job a token is refreshed when under 600 s remain."""
    one = node()
    login(one, simulator, left=left)
    one.lease(ANN)()
    assert refreshes(simulator) == expected


def test_short_tokens_are_not_refreshed_at_each_call(node: Nodes, simulator: Simulator) -> None:
    """A token that lasts less than ten minutes from the beginning is refreshed at half its life, not at each call."""
    one = node()
    login(one, simulator, left=-1)
    simulator.turn(token_lifetime=60)
    lease = one.lease(ANN)
    assert {lease() for _ in range(20)} == {simulator.tokens()[-1]}
    assert refreshes(simulator) == 1


def test_freshen_does_not_wait(stack: Stack, node: Nodes, simulator: Simulator) -> None:
    """What a page asks for happens beside it, however slow the provider is."""
    one = node()
    old = login(one, simulator)
    simulator.fault("/access_token", delay=1.0)
    began = time.monotonic()
    one.freshen(ANN)
    stack.sleep(0)
    assert time.monotonic() - began < 0.5
    until(stack, lambda: one.secrets(ANN) != old.secrets)
    assert refreshes(simulator) == 1


def test_a_good_token_outlives_a_failing_refresh(node: Nodes, simulator: Simulator) -> None:
    """While the access token is good, a refresh that fails is no failure, and is not tried at each call."""
    one = node()
    old = login(one, simulator)
    simulator.fault("/access_token", status=502, times=99)
    assert {one.get(ANN) for _ in range(10)} == {old.access}
    assert simulator.count("/access_token") == 1


def test_a_good_token_outlives_a_refused_refresh(node: Nodes, simulator: Simulator) -> None:
    """Where the refresh token is dead, the access token is used to its end, and then a new login is asked for."""
    one = node()
    old = login(one, simulator, left=2.0)
    simulator.expire("refresh")
    assert [one.get(ANN) for _ in range(5)] == [old.access] * 5
    assert simulator.count("/access_token") == 1
    time.sleep(2.1)
    with pytest.raises(LoginAgain, match="log in again"):
        one.get(ANN)
    assert simulator.count("/access_token") == 1


def test_an_ended_token_and_a_dead_provider(node: Nodes, simulator: Simulator) -> None:
    """Without a good token and without a provider the call ends with a sentence that names no token."""
    one = node(provider_url=f"http://127.0.0.1:{free_port()}/v1")
    token = login(one, simulator, left=-1)
    with pytest.raises(ProviderUnavailable, match="Webex does not answer") as caught:
        one.get(ANN)
    assert not any(secret in str(caught.value) for secret in token.secrets)


def test_a_slow_provider_is_waited_for_once(stack: Stack, node: Nodes, simulator: Simulator) -> None:
    """Nobody waits over 5 s; the refresh goes on meanwhile, and its rotated tokens are there afterwards."""
    one = node()
    login(one, simulator, left=-1)
    simulator.fault("/access_token", delay=6.5)
    began = time.monotonic()
    results = together(stack, [lambda: one.get(ANN)] * 5)
    assert 4 < time.monotonic() - began < 6
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
def test_answers_that_make_no_sense(node: Nodes, caplog: pytest.LogCaptureFixture, body: str) -> None:
    """Whatever the provider answers, the user is told in a sentence, and no token is stored, shown or logged."""
    caplog.set_level(logging.DEBUG)
    with hostile_provider() as provider:
        provider.body = body.encode()
        one = node(provider_url=provider.url)
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
def test_bare_answers(node: Nodes, redis_client: redis.Redis, reply: dict[str, Any], left: int) -> None:
    """Answers with as little as OAuth allows serve; without a new refresh token the old one stays."""
    with hostile_provider() as provider:
        provider.body = json.dumps(reply).encode()
        one = node(provider_url=provider.url)
        one.save(ANN, Token("old-access", time.time() - WEEK, time.time() - 1, "old-refresh", time.time() + WEEK))
        assert one.get(ANN) == "a-good-token"
    assert one.secrets(ANN) == ("a-good-token", "old-refresh")
    stored = TokenStore(redis_client, MultiFernet([Fernet(KEY)])).load(ANN)
    assert stored is not None
    assert stored.expires - time.time() == pytest.approx(left, abs=5)
    assert stored.refresh_expires - time.time() == pytest.approx(WEEK, abs=5)


@pytest.mark.parametrize("status", [301, 307, 308])
def test_secrets_follow_no_redirect(node: Nodes, status: int) -> None:
    """A provider that redirects the token request elsewhere gets no second one, there or here."""
    with hostile_provider() as provider, hostile_provider() as thief:
        provider.status, provider.headers = status, {"Location": f"{thief.url}/access_token"}
        one = node(provider_url=provider.url)
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
def test_refusals_and_failures(node: Nodes, status: int, body: bytes, error: type[RealtimeError]) -> None:
    """A refused refresh asks for a new login; trouble of the provider, or of our registration there, does not."""
    with hostile_provider() as provider:
        provider.status, provider.body = status, body
        one = node(provider_url=provider.url)
        one.save(ANN, Token("old-access", time.time() - WEEK, time.time() - 1, "old-refresh"))
        with pytest.raises(error):
            one.get(ANN)


def test_a_later_login_replaces(stack: Stack, node: Nodes, simulator: Simulator) -> None:
    """A login that ends while a refresh of older tokens is under way stays."""
    one = node()
    login(one, simulator)
    simulator.fault("/access_token", delay=1.0)
    one.freshen(ANN)
    stack.sleep(0.3)
    newer = login(one, simulator, left=5000.0)
    until(stack, lambda: refreshes(simulator) == 1)
    stack.sleep(0.5)
    assert one.secrets(ANN) == newer.secrets


def test_a_refresh_does_not_undo_a_logout(
    stack: Stack, node: Nodes, simulator: Simulator, redis_client: redis.Redis
) -> None:
    """A logout while a refresh is under way leaves no token behind, neither here nor at the provider."""
    one = node(revocation_url=f"{simulator.url}/revoke")
    login(one, simulator)
    simulator.fault("/access_token", delay=1.0)
    # Else the revoked refresh token would be refused, and there would be nothing to undo.
    simulator.fault("/revoke", cut=True)
    one.freshen(ANN)
    stack.sleep(0.3)
    one.forget(ANN)
    until(
        stack, lambda: refreshes(simulator) == 1 and not simulator.tokens("access") and not simulator.tokens("refresh")
    )
    stack.sleep(0.2)
    assert redis_client.keys("token:*") == []


def test_forget_deletes_and_revokes(stack: Stack, node: Nodes, simulator: Simulator, redis_client: redis.Redis) -> None:
    """A logout deletes our copy at once and has the provider end the tokens; then a new login is needed."""
    one = node(revocation_url=f"{simulator.url}/revoke")
    login(one, simulator)
    one.forget(ANN)
    assert redis_client.keys("*") == []
    with pytest.raises(LoginAgain):
        one.get(ANN)
    with pytest.raises(LoginAgain):
        one.lease(ANN)
    until(stack, lambda: not simulator.tokens("access") and not simulator.tokens("refresh"))
    one.forget(ANN)


def test_forget_with_a_dead_provider(stack: Stack, node: Nodes, simulator: Simulator) -> None:
    """Where the provider cannot be told, our copy goes all the same, and at once."""
    one = node(revocation_url=f"http://127.0.0.1:{free_port()}/revoke")
    login(one, simulator)
    began = time.monotonic()
    one.forget(ANN)
    assert time.monotonic() - began < 1
    stack.sleep(0.3)
    assert one.secrets(ANN) == ()


def test_a_lease_goes_on_after_a_logout(
    stack: Stack, node: Nodes, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that began before the logout has its token to the token's end; it is revoked when the run is over."""
    monkeypatch.setattr(module, "HELD_SECONDS", 0.05)
    one = node(revocation_url=f"{simulator.url}/revoke")
    token = login(one, simulator, left=3000.0)
    lease = one.lease(ANN)
    assert lease.api_url == simulator.url
    one.forget(ANN)
    stack.sleep(0.5)
    assert lease() == token.access
    assert one.secrets(ANN) == token.secrets
    assert token.access in simulator.tokens("access")
    one.release(lease)
    until(stack, lambda: not simulator.tokens("access") and not simulator.tokens("refresh"))
    assert one.secrets(ANN) == ()


def test_a_lease_ends_with_its_token(node: Nodes, simulator: Simulator) -> None:
    """After a logout the held token serves to its end, then the run is told to log in again."""
    one = node()
    token = login(one, simulator, left=1.5, life=2.0)
    lease = one.lease(ANN)
    held = lease()
    one.forget(ANN)
    assert lease() == held
    lease.held = Token(token.access, token.obtained, time.time() - 1)
    with pytest.raises(LoginAgain):
        lease()


def test_a_lease_takes_a_new_login(node: Nodes, simulator: Simulator) -> None:
    """A run goes on with the tokens of the same user's next login."""
    one = node()
    login(one, simulator, left=3000.0)
    lease = one.lease(ANN)
    one.forget(ANN)
    newer = login(one, simulator, left=3000.0)
    assert lease() == newer.access


def test_nothing_shows_a_token(node: Nodes, simulator: Simulator, redis_client: redis.Redis) -> None:
    """Neither the objects' texts nor the store has a token in readable form."""
    one = node()
    token = login(one, simulator, left=3000.0)
    lease = one.lease(ANN)
    store = dump(redis_client)
    assert b"token:" in store
    for secret in token.secrets:
        assert secret not in repr(token) + repr(lease) + repr(one)
        assert secret.encode() not in store
