"""Subscriptions: which channels the browser or program with a certain cookie streams; apart from channels' own keys."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from app.store.connection import store_errors

KEEP_SECONDS = 7 * 86_400
# A user's oldest goes where there is another.
MOST_PER_USER = 100


class Subscription(msgspec.Struct, frozen=True):
    """Whose it is, and the channels' names, in the order that was asked for."""

    user: str
    names: tuple[str, ...]


class Subscriptions:
    """The records `subscription:<hash of the cookie>`, and `user:<id>:subscriptions`; raises StoreUnavailable."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def save(self, cookie: str, user: str, names: Sequence[str]) -> None:
        """Keep it for a week; of one user the newest hundred are kept."""
        key, index = _key(cookie), f"user:{user}:subscriptions"
        with store_errors():
            pipeline = self._client.pipeline()
            pipeline.set(key, msgspec.json.encode(Subscription(user, tuple(names))), ex=KEEP_SECONDS)
            pipeline.zadd(index, {key: time.time()})
            pipeline.expire(index, KEEP_SECONDS)
            pipeline.zrange(index, 0, -MOST_PER_USER - 1)
            old = pipeline.execute()[-1]
            if old:
                self._client.delete(*old)
                self._client.zrem(index, *old)

    def find(self, cookie: str, user: str) -> Subscription | None:
        """The user's subscription, kept for another week; None where it is none, or no more, or another user's."""
        with store_errors():
            data = self._client.get(_key(cookie))
            found = None if data is None else msgspec.json.decode(data, type=Subscription)
            if found is None or found.user != user:
                return None
            self._client.expire(_key(cookie), KEEP_SECONDS)
        return found


def _key(cookie: str) -> str:
    return f"subscription:{hashlib.sha256(cookie.encode()).hexdigest()}"
