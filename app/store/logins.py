"""Logins that began and wait for the provider's answer: each is taken once, or ends by its time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from app.store.connection import store_errors
from app.store.taking import taken_out

LOGIN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Login:
    """What is needed to end a login: the PKCE verifier, and the local path to go on to."""

    verifier: str
    target: str


class Logins:
    """The records `login:<hash of the state>`; raises StoreUnavailable."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._out = taken_out(client)

    def begin(self, state: str, verifier: str, target: str) -> None:
        """Keep a login for ten minutes."""
        with store_errors():
            self._client.set(_key(state), msgspec.json.encode(Login(verifier, target)), ex=LOGIN_SECONDS)

    def take(self, state: str) -> Login | None:
        """The login of this `state`, to the first who asks; None to everybody else."""
        data = self._out(_key(state))
        return None if data is None else msgspec.json.decode(data, type=Login)


def _key(state: str) -> str:
    return f"login:{hashlib.sha256(state.encode()).hexdigest()}"
