"""The OAuth part without HTTP: codes, access and refresh tokens, their lives and their end."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from authlib.oauth2.rfc7636 import create_s256_code_challenge

CODE_SECONDS = 600
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, 4.1


class RefusedError(Exception):
    """A request for a token is refused; the text says why, `status` is the HTTP status."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(eq=False)
class Grant:
    """What one person allowed one client; all its tokens end with it."""

    client_id: str
    redirect_uri: str
    challenge: str
    user: int
    scope: str
    live: bool = True
    redeemed: bool = False


@dataclass(frozen=True)
class Secret:
    """A code or token: its grant and the time of its end on the clock of `Grants`."""

    grant: Grant
    ends: float


@dataclass(frozen=True)
class Issued:
    """A pair of tokens with their seconds to live."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_token_expires_in: int
    scope: str


class Grants:
    """Everything that was allowed; `clock` gives seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: dict[str, Secret] = {}
        self._access: dict[str, Secret] = {}
        self._refresh: dict[str, Secret] = {}

    def kept(self) -> dict[str, Any]:
        """All good tokens as JSON values; their ends by the clock on the wall, which goes on after a restart."""
        self._sweep()
        tokens = (self._access, self._refresh)
        grants = list({id(secret.grant): secret.grant for kept in tokens for secret in kept.values()}.values())
        ahead = time.time() - self._clock()
        return {
            "grants": [asdict(grant) for grant in grants],
            **{
                name: {text: [grants.index(secret.grant), secret.ends + ahead] for text, secret in kept.items()}
                for name, kept in zip(("access", "refresh"), tokens, strict=True)
            },
        }

    @classmethod
    def restore(cls, kept: dict[str, Any], clock: Callable[[], float] = time.monotonic) -> Grants:
        """What `kept` gave.

        Raises: TypeError, KeyError, IndexError or ValueError for anything else.
        """
        found = cls(clock)
        grants = [Grant(**values) for values in kept["grants"]]
        ahead = time.time() - clock()
        for name, tokens in (("access", found._access), ("refresh", found._refresh)):
            for text, (number, ends) in kept[name].items():
                tokens[text] = Secret(grants[number], float(ends) - ahead)
        return found

    def allow(self, grant: Grant) -> str:
        """A code for a new grant, good once and for ten minutes."""
        code = secrets.token_urlsafe(48)
        self._codes[code] = Secret(grant, self._clock() + CODE_SECONDS)
        return code

    def redeem(self, code: str, lives: tuple[int, int], *, client_id: str, redirect_uri: str, verifier: str) -> Issued:
        """Tokens for a code; `lives` are the seconds of the access and the refresh token.

        Raises: RefusedError. A code that comes twice also ends the tokens it gave before (RFC 6749, 4.1.2).
        """
        secret = self._codes.get(code)
        if secret is None or self._clock() >= secret.ends:
            raise RefusedError("The authorization code is unknown or has expired.")
        grant = secret.grant
        if grant.redeemed:
            grant.live = False
            raise RefusedError("The authorization code has been used before.")
        if grant.client_id != client_id:
            raise RefusedError("The authorization code belongs to another client.")
        if grant.redirect_uri != redirect_uri:
            raise RefusedError("The redirect_uri differs from the one of the authorization request.")
        _check_verifier(grant.challenge, verifier)
        grant.redeemed = True
        return self._issue(grant, lives)

    def refresh(self, token: str, client_id: str, lives: tuple[int, int], *, rotate: bool) -> Issued:
        """A new access token, and with `rotate` a new refresh token, which ends the old one.

        Raises: RefusedError.
        """
        secret = self._refresh.get(token)
        if secret is None or not self._good(secret):
            raise RefusedError("The refresh token is unknown or has expired.")
        if secret.grant.client_id != client_id:
            raise RefusedError("The refresh token belongs to another client.")
        if rotate:
            del self._refresh[token]
            return self._issue(secret.grant, lives)
        left = max(1, int(secret.ends - self._clock()))
        return self._issue(secret.grant, (lives[0], left), keep=token)

    def _issue(self, grant: Grant, lives: tuple[int, int], keep: str = "") -> Issued:
        self._sweep()
        now = self._clock()
        # 64 random characters and a suffix: as long as Webex's, so that masking and storage meet the real size.
        access, refresh = (f"{secrets.token_urlsafe(48)}_SIM_{secrets.token_hex(16)}" for _ in range(2))
        self._access[access] = Secret(grant, now + lives[0])
        refresh = keep or refresh
        self._refresh[refresh] = self._refresh.get(refresh) or Secret(grant, now + lives[1])
        return Issued(access, lives[0], refresh, lives[1], grant.scope)

    def _good(self, secret: Secret) -> bool:
        return secret.grant.live and self._clock() < secret.ends

    def _sweep(self) -> None:
        for kept in (self._codes, self._access, self._refresh):
            for text in [text for text, secret in kept.items() if not self._good(secret)]:
                del kept[text]

    def user_of(self, access_token: str) -> int | None:
        """The number of the person whose access token this is; None for an unknown or expired one."""
        secret = self._access.get(access_token)
        return secret.grant.user if secret is not None and self._good(secret) else None

    def revoke(self, token: str, client_id: str) -> None:
        """End a token of this client: an access token alone, a refresh token with its grant (RFC 7009, 2.1)."""
        if (access := self._access.get(token)) and access.grant.client_id == client_id:
            del self._access[token]
        if (refresh := self._refresh.get(token)) and refresh.grant.client_id == client_id:
            refresh.grant.live = False

    def expire(self, kind: str) -> int:
        """End all `access` or `refresh` tokens, as if their time were over; how many there were."""
        kept = self._access if kind == "access" else self._refresh
        count = len(kept)
        kept.clear()
        return count

    def valid(self) -> dict[str, list[str]]:
        """All good tokens, oldest first, by `access` and `refresh`."""
        return {
            name: [text for text, secret in kept.items() if self._good(secret)]
            for name, kept in (("access", self._access), ("refresh", self._refresh))
        }


def _check_verifier(challenge: str, verifier: str) -> None:
    if not challenge:
        if verifier:
            raise RefusedError("A code_verifier came, but the authorization request had no code_challenge.")
        return
    if not verifier:
        raise RefusedError("The code_verifier is missing.")
    if not _VERIFIER.fullmatch(verifier):
        raise RefusedError("The code_verifier has a wrong form.")
    if not secrets.compare_digest(create_s256_code_challenge(verifier), challenge):
        raise RefusedError("The code_verifier does not fit the code_challenge.")
