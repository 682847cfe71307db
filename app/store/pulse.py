"""The store's pulse: a small write that succeeds only where output could be stored too."""

from __future__ import annotations

from typing import Any

from app.store.connection import store_errors

BEAT_SECONDS = 60


class Pulse:
    """A key of this node that vanishes by itself."""

    def __init__(self, client: Any, node: str) -> None:
        self._client, self._key = client, f"node:{node}"

    def beat(self) -> None:
        """Write.

        Raises: StoreUnavailable with the reason: out of reach, full, its disk is full, loading and so on.
        """
        with store_errors():
            # A full store refuses it, and so does one that cannot write to its disk; reading would show neither.
            self._client.set(self._key, "1", ex=BEAT_SECONDS)
