"""Personal access tokens: made, listed, revoked and recognised; a token acts as its user, within its scopes."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Collection

from app import audit, rights
from app.errors import BadRequest, LoginRequired, NotFound, TooMany
from app.model import User, new_id
from app.rights import Action, Scope
from app.store.api_tokens import ApiTokens, Grant

__all__ = ["DAYS", "Grant", "Grants"]

# Tools that look for secrets in code and logs know tokens by such a beginning.
PREFIX = "frt_"
TOKEN_BYTES = 32
_TOKEN = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
# What a token's time may be.
DAYS = (1, 7, 30, 90, 365)
DAY_SECONDS = 86_400
NAME_LENGTH = 60
MOST_TOKENS = 50


class Grants:
    """The use cases of tokens; raises StoreUnavailable."""

    def __init__(self, tokens: ApiTokens) -> None:
        self._tokens = tokens

    def make(self, user: User | None, name: str, scopes: Collection[str], days: int) -> tuple[str, Grant]:
        """A new token, which is told this once and stored as a hash alone, and its record.

        Raises: BadRequest, TooMany.
        """
        user = rights.require(user, Action.TOKENS)
        name = name.strip()
        if not name or len(name) > NAME_LENGTH or not name.isprintable():
            raise BadRequest(f"name: expected a text of 1 to {NAME_LENGTH} characters")
        if not scopes or not set(scopes) <= set(Scope):
            raise BadRequest(f"scope: expected one or more of {', '.join(Scope)}")
        if days not in DAYS:
            raise BadRequest(f"days: expected one of {', '.join(map(str, DAYS))}")
        if len(self._tokens.of_user(user.id)) >= MOST_TOKENS:
            raise TooMany(f"You have {MOST_TOKENS} tokens. Please revoke one that you need no more.")
        secret, now = PREFIX + secrets.token_urlsafe(TOKEN_BYTES), time.time()
        chosen = frozenset(map(Scope, scopes))
        grant = Grant(new_id(), _digest(secret), user, name, chosen, now, now + days * DAY_SECONDS)
        self._tokens.save(grant)
        audit.token_made(user.id, grant.id, sorted(chosen))
        return secret, grant

    def of(self, user: User | None) -> list[Grant]:
        """The user's tokens, newest first."""
        return self._tokens.of_user(rights.require(user, Action.TOKENS).id)

    def revoke(self, user: User | None, token_id: str) -> str:
        """End a token of the user's; its digest.

        Raises: NotFound.
        """
        user = rights.require(user, Action.TOKENS)
        digest = self._tokens.delete(user.id, token_id)
        if digest is None:
            raise NotFound("You have no such token.")
        audit.token_revoked(user.id, token_id)
        return digest

    def recognise(self, secret: str) -> Grant:
        """What a token is good for.

        Raises: LoginRequired where it is none, or no more.
        """
        grant = self._tokens.find(_digest(secret)) if _TOKEN.fullmatch(secret) else None
        if grant is None:
            audit.denied("token")
            raise LoginRequired("This token is not known: it is wrong, has expired or was revoked.")
        self._tokens.note_use(grant)
        return grant

    def alive(self, digests: Collection[str]) -> set[str]:
        """Those of these tokens, by their digests, that are still good."""
        return self._tokens.alive(digests)


def _digest(secret: str) -> str:
    # Of 256 random bits nothing can be guessed, so a slow hash would protect nothing.
    return hashlib.sha256(secret.encode()).hexdigest()
