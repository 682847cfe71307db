"""Users' tokens: one record per user, encrypted, so that a dump of the store gives nobody a token."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from cryptography.fernet import InvalidToken, MultiFernet
from redis.lock import Lock

from app.model import Token, new_id
from app.store.connection import store_errors
from app.store.taking import taken_out

logger = logging.getLogger(__name__)

# A record outlives its tokens by this, so that a late user is told to log in again rather than nothing.
SPARE_SECONDS = 3600
# A refresh token whose end the provider keeps to itself.
UNKNOWN_SECONDS = 90 * 86_400


class TokenStore:
    """The records `token:<user id>`; raises StoreUnavailable."""

    def __init__(self, client: Any, fernet: MultiFernet) -> None:
        self._client, self._fernet = client, fernet
        self._out = taken_out(client)

    def load(self, user_id: str) -> Token | None:
        """The user's tokens; a record that none of our keys opens, or that makes no sense, counts as none."""
        with store_errors():
            sealed = self._client.get(_key(user_id))
        return None if sealed is None else self._open(user_id, sealed)

    def save(self, user_id: str, token: Token) -> None:
        """Store the tokens of a login, whatever was there before."""
        with store_errors():
            self._client.set(_key(user_id), self._seal(user_id, token), ex=_seconds(token))

    def replace(self, user_id: str, before: Token, token: Token) -> bool:
        """Store `token` where the record still is `before`; False where a login or a logout came between."""
        sealed = self._seal(user_id, token)

        def swap(pipe: Any) -> bool:
            sealed_before = pipe.get(_key(user_id))
            pipe.multi()
            found = None if sealed_before is None else self._open(user_id, sealed_before)
            if found == token:
                # It was stored, and only the answer was lost.
                return True
            if found is None or found != before:
                return False
            pipe.set(_key(user_id), sealed, ex=_seconds(token))
            return True

        with store_errors():
            swapped: bool = self._client.transaction(swap, _key(user_id), value_from_callable=True)
        return swapped

    def delete(self, user_id: str) -> Token | None:
        """Delete the record; what was in it."""
        sealed = self._out(_key(user_id))
        return None if sealed is None else self._open(user_id, sealed)

    def claim(self, user_id: str, seconds: float) -> Callable[[], None] | None:
        """The right of one node to refresh, for `seconds` at most; a call gives it back. None: another node has it."""
        # Its token is kept in the lock itself: greenlets of one thread would share what is thread-local.
        name, token = f"token-lock:{user_id}", new_id()
        lock = Lock(self._client, name, timeout=seconds, thread_local=False)
        with store_errors():
            # Where the answer was lost and it was asked for again, it may be this node's own.
            if not lock.acquire(blocking=False, token=token) and self._client.get(name) != token.encode():
                return None
        lock.local.token = token.encode()

        def release() -> None:
            try:
                with store_errors():
                    lock.release()
            except Exception as error:  # noqa: BLE001 - whatever it is: a claim that is not given back ends by its time
                logger.warning("a claim to refresh a token was not given back: %s", type(error).__name__)

        return release

    def _seal(self, user_id: str, token: Token) -> bytes:
        # The user's id is inside as well: a record that is copied to another user's key stays shut.
        return self._fernet.encrypt(json.dumps([user_id, *dataclasses.astuple(token)]).encode())

    def _open(self, user_id: str, sealed: bytes) -> Token | None:
        try:
            owner, access, obtained, expires, refresh, ends = json.loads(self._fernet.decrypt(sealed))
            found = Token(str(access), float(obtained), float(expires), str(refresh), float(ends))
        except (InvalidToken, ValueError, TypeError) as error:
            logger.warning("the token record of user %r cannot be read: %s", user_id, type(error).__name__)
            return None
        if owner != user_id:
            logger.warning("the token record of user %r was made for somebody else", user_id)
            return None
        return found


def _key(user_id: str) -> str:
    return f"token:{user_id}"


def _seconds(token: Token) -> int:
    now = time.time()
    refresh_ends = (token.refresh_expires or now + UNKNOWN_SECONDS) if token.refresh else 0.0
    return max(1, int(max(token.expires, refresh_ends) - now)) + SPARE_SECONDS
