"""Personal access tokens: a record under the hash of each, so that a dump of the store gives nobody a token."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from typing import Any

import msgspec

from app.errors import StoreUnavailable
from app.model import User
from app.rights import Scope
from app.store.connection import store_errors

# How exactly a token's last use is known.
USED_SECONDS = 60.0


class Grant(msgspec.Struct, frozen=True):
    """What a token is good for: as whom, for which scopes, until when; times are seconds since the epoch."""

    id: str
    digest: str
    user: User
    name: str
    scopes: frozenset[Scope]
    created: float
    expires: float
    used: float | None = None


class ApiTokens:
    """The records `api:<digest>`, and `user:<id>:tokens` with the digests by id; raises StoreUnavailable."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def save(self, grant: Grant) -> None:
        """Store a new token's record until it expires."""
        with store_errors():
            pipeline = self._client.pipeline()
            pipeline.set(_key(grant.digest), msgspec.json.encode(grant), exat=int(grant.expires))
            pipeline.hset(_index(grant.user.id), grant.id, grant.digest)
            pipeline.execute()

    def find(self, digest: str) -> Grant | None:
        """The token's record; None where there is none, or no more."""
        with store_errors():
            found = self._client.mget(_key(digest), _used(digest))
        grant = _grant(*found)
        return grant if grant is not None and grant.expires > time.time() else None

    def note_use(self, grant: Grant) -> None:
        """Remember that the token was used just now; a store that takes nothing does without."""
        now = time.time()
        if grant.used is None or now - grant.used > USED_SECONDS:
            with contextlib.suppress(StoreUnavailable), store_errors():
                self._client.set(_used(grant.digest), now, exat=int(grant.expires))

    def of_user(self, user_id: str) -> list[Grant]:
        """The user's tokens, newest first."""
        with store_errors():
            digests = self._client.hgetall(_index(user_id))
            names = [digest.decode() for digest in digests.values()]
            keys = [key for digest in names for key in (_key(digest), _used(digest))]
            found = self._client.mget(keys) if keys else []
            grants = {
                token_id: _grant(*pair)
                for token_id, pair in zip(digests, zip(found[::2], found[1::2], strict=True), strict=True)
            }
            expired = [token_id for token_id, grant in grants.items() if grant is None]
            if expired:
                self._client.hdel(_index(user_id), *expired)
        return sorted((each for each in grants.values() if each), key=lambda each: each.created, reverse=True)

    def delete(self, user_id: str, token_id: str) -> str | None:
        """Delete a token of the user's; its digest, or None where there is none of this id."""
        with store_errors():
            found = self._client.hget(_index(user_id), token_id)
            if found is None:
                return None
            digest: str = found.decode()
            # The index last: where the store fails in between, the token can still be named, and deleted again.
            self._client.delete(_key(digest), _used(digest))
            self._client.hdel(_index(user_id), token_id)
        return digest

    def alive(self, digests: Collection[str]) -> set[str]:
        """Those of these tokens that are still good."""
        asked = list(digests)
        with store_errors():
            pipeline = self._client.pipeline(transaction=False)
            for digest in asked:
                pipeline.exists(_key(digest))
            return {digest for digest, exists in zip(asked, pipeline.execute(), strict=True) if exists}


def _grant(record: bytes | None, used: bytes | None) -> Grant | None:
    if record is None:
        return None
    grant = msgspec.json.decode(record, type=Grant)
    return msgspec.structs.replace(grant, used=float(used) if used else None)


def _key(digest: str) -> str:
    return f"api:{digest}"


def _used(digest: str) -> str:
    return f"api:{digest}:used"


def _index(user_id: str) -> str:
    return f"user:{user_id}:tokens"
