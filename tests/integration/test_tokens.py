"""Tokens in the store: encrypted, bound to their user, readable through a change of keys."""

from __future__ import annotations

import contextlib
import logging
import time

import pytest
import redis
from cryptography.fernet import Fernet, MultiFernet

from app.config import load_settings
from app.errors import StoreUnavailable
from app.model import Token
from app.stack import ThreadingStack
from app.store.connection import connect
from app.store.logins import Login, Logins
from app.store.tokens import TokenStore
from tests.integration.store_fixture import dump
from tests.killable import Valkey
from tests.proxy import Proxy
from tests.serving import free_port

OLD, NEW = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())
NOW = time.time()
TOKEN = Token("CANARY-access", NOW, NOW + 1000, "CANARY-refresh", NOW + 9000)
OTHER = Token("other-access", NOW, NOW + 1000, "other-refresh", NOW + 9000)


def store(client: redis.Redis, *keys: Fernet) -> TokenStore:
    """A store with these keys, newest first."""
    return TokenStore(client, MultiFernet(keys))


def test_round_trip(redis_client: redis.Redis) -> None:
    """What is saved comes back, under the user's name alone, and is gone after a deletion."""
    tokens = store(redis_client, NEW)
    tokens.save("ann", TOKEN)
    assert tokens.load("ann") == TOKEN
    assert tokens.load("ben") is None
    assert tokens.delete("ann") == TOKEN
    assert tokens.delete("ann") is None
    assert redis_client.keys("*") == []


def test_a_dump_shows_no_token(redis_client: redis.Redis) -> None:
    """Nothing in the store has a token in readable form."""
    store(redis_client, NEW).save("ann", TOKEN)
    redis_client.set("plain", "PLAIN-text that a dump shows")
    assert b"PLAIN-text" in dump(redis_client)
    assert b"token:ann" in dump(redis_client)
    assert b"CANARY" not in dump(redis_client)


def test_rotation_of_keys(redis_client: redis.Redis) -> None:
    """After a new key is put first old records still open, the next save seals with it, then the old key may go."""
    store(redis_client, OLD).save("ann", TOKEN)
    both = store(redis_client, NEW, OLD)
    assert both.load("ann") == TOKEN
    assert store(redis_client, NEW).load("ann") is None
    both.save("ann", TOKEN)
    assert store(redis_client, NEW).load("ann") == TOKEN


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"garbage",
        b"\xff\x00",
        Fernet(Fernet.generate_key()).encrypt(b'["ann", "CANARY", 1, 2, "CANARY", 3]'),
        NEW.encrypt(b"CANARY no json"),
        NEW.encrypt(b'"CANARY"'),
        NEW.encrypt(b'["ann", "CANARY"]'),
        NEW.encrypt(b'["ann", "CANARY", "now", 2, "CANARY", 3]'),
        NEW.encrypt(b'["ann", "CANARY", null, 2, "CANARY", 3]'),
    ],
    ids=range(9),
)
def test_damaged_records(redis_client: redis.Redis, caplog: pytest.LogCaptureFixture, record: bytes) -> None:
    """A record that cannot be read counts as none, is logged without its content, and gives way to a login."""
    caplog.set_level(logging.DEBUG)
    tokens = store(redis_client, NEW)
    redis_client.set("token:ann", record)
    assert tokens.load("ann") is None
    assert "'ann' cannot be read" in caplog.text
    assert "CANARY" not in caplog.text
    tokens.save("ann", TOKEN)
    assert tokens.load("ann") == TOKEN


def test_a_record_belongs_to_its_user(redis_client: redis.Redis) -> None:
    """Somebody who can write to the store cannot give one user's record to another."""
    tokens = store(redis_client, NEW)
    tokens.save("ann", TOKEN)
    redis_client.set("token:ben", redis_client.get("token:ann") or b"")
    assert tokens.load("ben") is None


def test_replace_only_what_was_there(redis_client: redis.Redis) -> None:
    """A refresh replaces the record that it began with, and neither a later login nor a logout."""
    tokens = store(redis_client, NEW)
    assert not tokens.replace("ann", TOKEN, OTHER)
    assert tokens.load("ann") is None
    tokens.save("ann", TOKEN)
    assert tokens.replace("ann", TOKEN, OTHER)
    assert not tokens.replace("ann", TOKEN, TOKEN)
    assert tokens.load("ann") == OTHER


@pytest.mark.parametrize(
    ("left", "refresh", "refresh_left", "seconds"),
    [(1000, "r", 9000, 9000), (1000, "", 0, 1000), (1000, "r", None, 90 * 86_400), (-20, "", 0, 1)],
)
def test_records_end_with_their_tokens(
    redis_client: redis.Redis, left: float, refresh: str, refresh_left: float | None, seconds: int
) -> None:
    """The store keeps no tokens that have ended, but for an hour."""
    now = time.time()
    ends = 0.0 if refresh_left is None else now + refresh_left
    store(redis_client, NEW).save("ann", Token("a", now - 50, now + left, refresh, ends))
    assert redis_client.ttl("token:ann") == pytest.approx(seconds + 3600, abs=10)


def test_one_claim_at_a_time(redis_client: redis.Redis) -> None:
    """One node has the right to refresh, until it gives it back or its time is over."""
    one, two = store(redis_client, NEW), store(redis_client, NEW)
    release = one.claim("ann", 30)
    assert release is not None
    assert two.claim("ann", 30) is None
    assert two.claim("ben", 30) is not None
    release()
    late = two.claim("ann", 0.05)
    assert late is not None
    time.sleep(0.1)
    last = one.claim("ann", 30)
    assert last is not None
    late()
    assert two.claim("ann", 30) is None


def test_a_claim_of_ones_own_is_known(valkey: Valkey) -> None:
    """Its answer was lost, so it was asked for again, and there it is: nobody else has it."""
    proxy = Proxy(str(valkey.socket))
    client = connect(load_settings(None, redis_url=proxy.redis_url), ThreadingStack())
    tokens = store(client, NEW)
    proxy.drop_every, claims = 7, 0
    for number in range(40):
        with contextlib.suppress(StoreUnavailable):
            assert tokens.claim(f"user-{number}", 30) is not None
            claims += 1
    assert proxy.dropped > 3
    assert claims > 10
    proxy.close()


@pytest.mark.parametrize("each", [7, 8, 9])
def test_what_is_taken_or_replaced_is_so_though_answers_are_lost(valkey: Valkey, each: int) -> None:
    """Asked again, the store says what it has done: nobody's login ends by a lost answer."""
    proxy = Proxy(str(valkey.socket))
    client = connect(load_settings(None, redis_url=proxy.redis_url), ThreadingStack())
    tokens, logins = store(client, NEW), Logins(client)
    late = Token("late-access", NOW, NOW + 1000)
    done = 0
    proxy.drop_every = each
    for number in range(30):
        user = f"user-{number}"
        with contextlib.suppress(StoreUnavailable):
            tokens.save(user, TOKEN)
            assert tokens.replace(user, TOKEN, OTHER)
            assert not tokens.replace(user, TOKEN, late)
            assert tokens.delete(user) == OTHER
            logins.begin(user, "verifier", "/")
            assert logins.take(user) == Login("verifier", "/")
            assert logins.take(user) is None
            done += 1
    assert proxy.dropped > 5
    assert done > 10
    proxy.close()


def test_store_away(redis_client: redis.Redis) -> None:
    """Without a store each call says so."""
    settings = load_settings(None, redis_url=f"redis://127.0.0.1:{free_port()}")
    tokens = TokenStore(connect(settings, ThreadingStack()), MultiFernet([NEW]))
    for call in (
        lambda: tokens.load("ann"),
        lambda: tokens.save("ann", TOKEN),
        lambda: tokens.replace("ann", TOKEN, OTHER),
        lambda: tokens.delete("ann"),
        lambda: tokens.claim("ann", 1),
    ):
        with pytest.raises(StoreUnavailable):
            call()


def test_store_full(redis_client: redis.Redis) -> None:
    """A full store says so to a login, and still lets a logout delete."""
    tokens = store(redis_client, NEW)
    tokens.save("ann", TOKEN)
    redis_client.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailable, match="full"):
        tokens.save("ben", TOKEN)
    with pytest.raises(StoreUnavailable, match="full"):
        tokens.replace("ann", TOKEN, OTHER)
    assert tokens.load("ann") == TOKEN
    assert tokens.delete("ann") == TOKEN
