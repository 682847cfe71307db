"""Server-side sessions: Flask-Session's Redis interface, safe with a store that is away, full or tampered with."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Any, cast

import msgspec
from flask import Flask, session
from flask_session.base import Serializer
from flask_session.redis import RedisSessionInterface
from flask_session.redis.redis import RedisSession

from app.config import Settings
from app.errors import StoreUnavailable
from app.model import Admission
from app.store.connection import store_errors
from app.store.logins import Logins

logger = logging.getLogger(__name__)

COOKIE = "frt_session"
ID_BYTES = 32
PREFIX = "session:"

# Files that are the same for everybody.
FILES = frozenset({"static", "views.vendor"})


class Session(RedisSession):  # type: ignore[misc]  # the base carries no types
    """A session; `unavailable` says why the store could not be asked whose it is."""

    unavailable: str = ""
    stored: bool = False

    @property
    def key(self) -> str:
        """The session as the server names it: a hash of the id, which only the browser holds."""
        return session_key(self.sid)


class _Json(Serializer):  # type: ignore[misc]  # the base carries no types
    """Flask-Session's own falls back to pickle, which would run whatever somebody puts into the store."""

    def encode(self, session: Session) -> bytes:
        return msgspec.json.encode(dict(session))

    def decode(self, serialized_data: bytes) -> dict[str, Any]:
        return msgspec.json.decode(serialized_data, type=dict[str, Any])


class SafeRedisSessionInterface(RedisSessionInterface):  # type: ignore[misc]  # the base carries no types
    """Sessions in Redis under a hash of their id: a dump of the store holds no id that a browser could send.

    A request can neither bring an ended session back to life nor fail because a session cannot be saved.
    """

    session_class = Session

    def __init__(self, app: Flask, client: Any, lifetime: timedelta) -> None:
        super().__init__(app, client, PREFIX, permanent=False, sid_length=ID_BYTES)
        self.serializer = _Json()
        self._seconds = int(lifetime.total_seconds())

    def open_session(self, app: Flask, request: Any) -> Session:
        """The visitor's session; each request makes it last its whole time again."""
        if request.endpoint in FILES:
            # A page has dozens, and may not break because the store was slow for one of them.
            return Session(sid=self._generate_sid(self.sid_length))
        try:
            with store_errors():
                opened = cast(Session, super().open_session(app, request))
        except StoreUnavailable as error:
            logger.warning("no session can be read: %s", error)
            opened = Session(sid=self._generate_sid(self.sid_length))
            opened.unavailable = str(error)
        opened.stored = bool(opened)
        return opened

    def save_session(self, app: Flask, session: Session, response: Any) -> None:
        """Save what changed; a failure is logged, since the page is made already."""
        if session.unavailable:
            return
        try:
            with store_errors():
                super().save_session(app, session, response)
        except StoreUnavailable as error:
            logger.warning("a session cannot be saved: %s", error)

    @staticmethod
    def current() -> Session:
        """The session of this request.

        Raises: StoreUnavailable where the store cannot be asked.
        """
        # What Flask offers is a stand-in; begin and end need the session itself.
        opened = cast(Session, session._get_current_object())  # type: ignore[attr-defined]
        _check(opened)
        return opened

    def begin(self, session: Session, values: dict[str, Any]) -> None:
        """Make it a new session with these values and a new id; the old id is dead.

        Raises: StoreUnavailable; the session is then as it was.
        """
        _check(session)
        sid = self._generate_sid(self.sid_length)
        with store_errors():
            pipeline = self.client.pipeline()
            pipeline.delete(self._get_store_id(session.sid))
            pipeline.set(self._get_store_id(sid), msgspec.json.encode(values), ex=self._seconds)
            pipeline.execute()
        session.sid = sid
        # Flask-Session's own clear() would leave a mark of its own behind.
        dict.clear(session)
        session.update(values)
        session.stored = True

    def end(self, session: Session) -> None:
        """End the session, here and in every other request that carries it.

        Raises: StoreUnavailable; the session then lives on.
        """
        _check(session)
        with store_errors():
            self.client.delete(self._get_store_id(session.sid))
        dict.clear(session)
        session.modified = True

    def admission(self, key: str) -> Admission:
        """What lets in whoever has the session with this key."""
        return Admission(PREFIX + key, self._seconds)

    def renew(self, admission: Admission) -> bool:
        """Does its session live? Then it lasts its whole time again.

        Raises: StoreUnavailable.
        """
        with store_errors():
            return bool(self.client.expire(admission.key, admission.seconds))

    def alive(self, keys: Collection[str]) -> set[str]:
        """Those of these session keys whose session still lives; asking does not make it last longer.

        Raises: StoreUnavailable.
        """
        asked = list(keys)
        with store_errors():
            pipeline = self.client.pipeline(transaction=False)
            for key in asked:
                pipeline.exists(PREFIX + key)
            return {key for key, exists in zip(asked, pipeline.execute(), strict=True) if exists}

    def _get_store_id(self, sid: str) -> str:
        return PREFIX + session_key(sid)

    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        data = self.client.getex(store_id, ex=self._seconds)
        try:
            return None if data is None else self.serializer.decode(data)
        except msgspec.MsgspecError:
            logger.warning("a session in the store cannot be read")
            return None

    def _upsert_session(self, session_lifetime: timedelta, session: Session, store_id: str) -> None:
        # xx: a request that began before a logout must not bring the session back by saving it afterwards.
        self.client.set(store_id, self.serializer.encode(session), ex=self._seconds, xx=session.stored)


def session_key(sid: str) -> str:
    """The name under which the server keeps the session with this id."""
    return hashlib.sha256(sid.encode("utf-8", "surrogatepass")).hexdigest()


def install_sessions(app: Flask, settings: Settings, client: Any) -> SafeRedisSessionInterface:
    """Give `app` its sessions and the logins that began; scripts in the browser cannot read the session's cookie."""
    lifetime = timedelta(hours=settings.session_hours)
    app.config.update(
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.redirect_uri.startswith("https:"),
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=lifetime,
    )
    interface = SafeRedisSessionInterface(app, client, lifetime)
    app.session_interface = interface
    app.extensions["logins"] = Logins(client)
    return interface


def _check(session: Session) -> None:
    if session.unavailable:
        raise StoreUnavailable(f"{session.unavailable} So nobody can be recognised now.")
