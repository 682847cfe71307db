"""The store's pulse: a small write that succeeds only where output could be stored too."""

from __future__ import annotations

from typing import Any

from app.errors import StoreUnavailable
from app.store.connection import UNREACHABLE, Breaker, store_errors

BEAT_SECONDS = 60
# The next beat comes sooner, with its timeout.
SHUT_SECONDS = 10.0


class Pulse:
    """A key of this node that vanishes by itself."""

    def __init__(self, client: Any, node: str, breaker: Breaker) -> None:
        self._client, self._key, self._breaker = client, f"node:{node}", breaker

    def beat(self) -> None:
        """Write.

        Raises: StoreUnavailable with the reason: out of reach, full, its disk is full, loading and so on.
        """
        try:
            with store_errors():
                # A full store refuses it, and so does one that cannot write to its disk; reading would show neither.
                self._client.set(self._key, "1", ex=BEAT_SECONDS)
        except StoreUnavailable as error:
            if str(error) == UNREACHABLE:
                self._breaker.shut(SHUT_SECONDS)
            raise
        # Nobody needs to be refused any more.
        self._breaker.note(reached=True)
