"""Taking a value out of the store, once: asked again since the answer was lost, it answers the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from app.errors import StoreUnavailable
from app.model import new_id
from app.store.connection import store_errors
from app.store.queue_scripts import ALWAYS

TAKEN_SECONDS = 60
# KEYS value, claim; ARGV the seconds that the claim lasts.
TAKE_OUT = (
    ALWAYS
    + """
local found = redis.call('GET', KEYS[1])
if not found then return redis.call('GET', KEYS[2]) end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], found, 'EX', ARGV[1])
return found
"""
)


def taken_out(client: Any) -> Callable[[str], bytes | None]:
    """What takes the value of a key and deletes it; None where there is none. It raises StoreUnavailable."""
    script = client.register_script(TAKE_OUT)

    def take(key: str) -> bytes | None:
        # The client sends a command again whose answer was lost: with the same claim.
        claim = f"taken:{new_id()}"
        with store_errors():
            found: bytes | None = script(keys=[key, claim], args=[TAKEN_SECONDS])
        if found is not None:
            # It ends by its time, too.
            with contextlib.suppress(StoreUnavailable), store_errors():
                client.delete(claim)
        return found

    return take
