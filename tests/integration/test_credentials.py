"""Access tokens for jobs: always fresh, one refresh however many ask, and what remains after a logout."""

from __future__ import annotations

import time

import pytest
import redis

from app import credentials as module
from app.errors import LoginAgain
from app.model import Token
from app.stack import Stack
from tests.integration.credential_nodes import ANN, Nodes, login, refreshes, together, until
from tests.integration.simulator_fixture import Simulator
from tests.integration.store_fixture import dump
from tests.serving import free_port


def test_parallel_calls_make_one_refresh(stack: Stack, nodes: Nodes, simulator: Simulator) -> None:
    """Fifty calls on one node at the same time cost one refresh, and all get the new token."""
    one = nodes()
    old = login(one, simulator)
    results = together(stack, [lambda: one.get(ANN)] * 50)
    assert refreshes(simulator) == 1
    assert len(results) == 50
    assert set(results) == {simulator.tokens()[-1]} != {old.access}


def test_parallel_calls_on_two_nodes_make_one_refresh(stack: Stack, nodes: Nodes, simulator: Simulator) -> None:
    """Fifty calls spread over two nodes cost one refresh, also while the provider is slow."""
    one, two = nodes(), nodes()
    login(one, simulator)
    simulator.fault("/access_token", delay=0.5)
    results = together(stack, [lambda: one.get(ANN), lambda: two.get(ANN)] * 25)
    assert refreshes(simulator) == 1
    assert len(results) == 50
    assert set(results) == {simulator.tokens()[-1]}


@pytest.mark.parametrize("knobs", [{"rotate": True}, {"rotate": False}, {"bare_replies": True}])
def test_refresh_again_and_again(nodes: Nodes, simulator: Simulator, knobs: dict[str, bool]) -> None:
    """Rotated and unchanged refresh tokens serve the next refresh, with and without token_type."""
    one = nodes()
    login(one, simulator, left=-1)
    simulator.turn(token_lifetime=2, **knobs)
    seen = set()
    for _ in range(3):
        seen.add(one.get(ANN))
        time.sleep(1.1)
    assert len(seen) == 3
    assert refreshes(simulator) == 3


@pytest.mark.parametrize(("left", "expected"), [(310.0, 0), (290.0, 1)])
def test_a_page_asks_for_five_minutes(nodes: Nodes, simulator: Simulator, left: float, expected: int) -> None:
    """For a page a token is refreshed when under 300 s remain."""
    one = nodes()
    login(one, simulator, left=left)
    one.get(ANN)
    assert refreshes(simulator) == expected


@pytest.mark.parametrize(("left", "expected"), [(610.0, 0), (590.0, 1)])
def test_a_job_asks_for_ten_minutes(nodes: Nodes, simulator: Simulator, left: float, expected: int) -> None:
    """For a job a token is refreshed when under 600 s remain."""
    one = nodes()
    login(one, simulator, left=left)
    one.lease(ANN)()
    assert refreshes(simulator) == expected


def test_short_tokens_are_not_refreshed_at_each_call(nodes: Nodes, simulator: Simulator) -> None:
    """A token that lasts less than ten minutes from the beginning is refreshed at half its life, not at each call."""
    one = nodes()
    login(one, simulator, left=-1)
    simulator.turn(token_lifetime=60)
    lease = one.lease(ANN)
    assert {lease() for _ in range(20)} == {simulator.tokens()[-1]}
    assert refreshes(simulator) == 1


def test_freshen_does_not_wait(stack: Stack, nodes: Nodes, simulator: Simulator) -> None:
    """What a page asks for happens beside it, however slow the provider is."""
    one = nodes()
    old = login(one, simulator)
    simulator.fault("/access_token", delay=4.0)
    began = time.monotonic()
    one.freshen(ANN)
    stack.sleep(0)
    assert time.monotonic() - began < 3
    until(stack, lambda: one.secrets(ANN) != old.secrets)
    assert refreshes(simulator) == 1


def test_a_later_login_replaces(stack: Stack, nodes: Nodes, simulator: Simulator) -> None:
    """A login that ends while a refresh of older tokens is under way stays."""
    one = nodes()
    login(one, simulator)
    simulator.fault("/access_token", delay=1.0)
    one.freshen(ANN)
    until(stack, lambda: simulator.count("/access_token") == 1)
    newer = login(one, simulator, left=5000.0)
    until(stack, lambda: refreshes(simulator) == 1)
    stack.sleep(0.5)
    assert one.secrets(ANN) == newer.secrets


def test_a_refresh_does_not_undo_a_logout(
    stack: Stack, nodes: Nodes, simulator: Simulator, redis_client: redis.Redis
) -> None:
    """A logout while a refresh is under way leaves no token behind, neither here nor at the provider."""
    one = nodes(revocation_url=f"{simulator.url}/revoke")
    login(one, simulator)
    simulator.fault("/access_token", delay=4.0)
    # Else the revoked refresh token would be refused, and there would be nothing to undo.
    simulator.fault("/revoke", cut=True)
    one.freshen(ANN)
    until(stack, lambda: simulator.count("/access_token") == 1)
    one.forget(ANN)
    until(
        stack, lambda: refreshes(simulator) == 1 and not simulator.tokens("access") and not simulator.tokens("refresh")
    )
    stack.sleep(0.2)
    assert redis_client.keys("token:*") == []


def test_forget_deletes_and_revokes(
    stack: Stack, nodes: Nodes, simulator: Simulator, redis_client: redis.Redis
) -> None:
    """A logout deletes our copy at once and has the provider end the tokens; then a new login is needed."""
    one = nodes(revocation_url=f"{simulator.url}/revoke")
    login(one, simulator)
    one.forget(ANN)
    assert redis_client.keys("*") == []
    with pytest.raises(LoginAgain):
        one.get(ANN)
    with pytest.raises(LoginAgain):
        one.lease(ANN)
    until(stack, lambda: not simulator.tokens("access") and not simulator.tokens("refresh"))
    one.forget(ANN)


def test_forget_with_a_dead_provider(stack: Stack, nodes: Nodes, simulator: Simulator) -> None:
    """Where the provider cannot be told, our copy goes all the same, and at once."""
    one = nodes(revocation_url=f"http://127.0.0.1:{free_port()}/revoke")
    login(one, simulator)
    began = time.monotonic()
    one.forget(ANN)
    assert time.monotonic() - began < 3
    stack.sleep(0.3)
    assert one.secrets(ANN) == ()


def test_a_lease_goes_on_after_a_logout(
    stack: Stack, nodes: Nodes, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that began before the logout has its token to the token's end; it is revoked when the run is over."""
    monkeypatch.setattr(module, "HELD_SECONDS", 0.05)
    one = nodes(revocation_url=f"{simulator.url}/revoke")
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


def test_a_lease_ends_with_its_token(nodes: Nodes, simulator: Simulator) -> None:
    """After a logout the held token serves to its end, then the run is told to log in again."""
    one = nodes()
    token = login(one, simulator, left=30.0, life=40.0)
    lease = one.lease(ANN)
    held = lease()
    one.forget(ANN)
    assert lease() == held
    lease.held = Token(token.access, token.obtained, time.time() - 1)
    with pytest.raises(LoginAgain):
        lease()


def test_a_lease_takes_a_new_login(nodes: Nodes, simulator: Simulator) -> None:
    """A run goes on with the tokens of the same user's next login."""
    one = nodes()
    login(one, simulator, left=3000.0)
    lease = one.lease(ANN)
    one.forget(ANN)
    newer = login(one, simulator, left=3000.0)
    assert lease() == newer.access


def test_nothing_shows_a_token(nodes: Nodes, simulator: Simulator, redis_client: redis.Redis) -> None:
    """Neither the objects' texts nor the store has a token in readable form."""
    one = nodes()
    token = login(one, simulator, left=3000.0)
    lease = one.lease(ANN)
    store = dump(redis_client)
    assert b"token:" in store
    for secret in token.secrets:
        assert secret not in repr(token) + repr(lease) + repr(one)
        assert secret.encode() not in store
