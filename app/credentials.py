"""Users' access tokens, always fresh: renewed before they end, by one refresh however many ask, on any node."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

from app.config import Settings
from app.errors import LoginAgain, ProviderUnavailable, RealtimeError, StoreUnavailable
from app.model import Token
from app.provider import REFRESH_SECONDS, Provider
from app.stack import Signal, Stack
from app.store.tokens import TokenStore

logger = logging.getLogger(__name__)

# What must be left of an access token, in seconds: less for a page, more for a job that will work with it.
PAGE_SECONDS = 300.0
JOB_SECONDS = 600.0
# A caller waits this long for a refresh; the refresh itself goes on, and is there for the next caller.
WAIT_SECONDS = 5.0
# After a refresh that failed, a token that is still good is used without another try for this long.
REST_SECONDS = 30.0
SAVE_TRIES, SAVE_SECONDS = 10, 1.0
CLAIM_SECONDS = REFRESH_SECONDS + SAVE_TRIES * SAVE_SECONDS + 5.0
POLL_SECONDS = 0.05
# How often to look whether a run still holds a token that is to be revoked.
HELD_SECONDS = 2.0


@dataclass
class _Flight:
    """One refresh of one user's token on this node, and those who wait for it."""

    waiting: list[Signal] = field(default_factory=list)
    error: RealtimeError | None = None
    done: bool = False


class Credentials:
    """The tokens of everybody who logged in; hub code alone may call it."""

    def __init__(self, settings: Settings, stack: Stack, provider: Provider, tokens: TokenStore) -> None:
        self.api_url = settings.provider_url
        self._stack, self._provider, self._tokens = stack, provider, tokens
        self._lock = stack.lock()
        self._flights: dict[str, _Flight] = {}
        self._rests: dict[str, float] = {}
        self._leases: weakref.WeakSet[TokenSource] = weakref.WeakSet()
        # Held for moments that wait for nothing: runs begin and end in threads of their own.
        self._leases_lock = threading.Lock()

    def get(self, user_id: str, remaining: float = PAGE_SECONDS) -> str:
        """An access token with at least `remaining` seconds left, or what there is where no better can be had.

        Raises: LoginAgain; ProviderUnavailable within 5 s; StoreUnavailable.
        """
        return self.fresh(user_id, remaining).access

    def lease(self, user_id: str) -> TokenSource:
        """What a run is given at its Start: it serves the run on after a logout, until the token's end.

        Raises: LoginAgain; ProviderUnavailable within 5 s; StoreUnavailable.
        """
        lease = TokenSource(user_id, self.fresh(user_id, JOB_SECONDS), self.fresh, self.api_url)
        with self._leases_lock:
            self._leases.add(lease)
        return lease

    def release(self, lease: TokenSource) -> None:
        """The lease's run is over: what it held may be revoked."""
        with self._leases_lock:
            self._leases.discard(lease)

    def save(self, user_id: str, token: Token) -> None:
        """Store the tokens of a login, instead of any before.

        Raises: StoreUnavailable.
        """
        self._tokens.save(user_id, token)
        self._rests.pop(user_id, None)

    def forget(self, user_id: str) -> None:
        """Delete the user's tokens at once, and have the provider end them where it has an address for that.

        The latter waits for this node's runs that hold them, and nobody waits for it.

        Raises: StoreUnavailable.
        """
        token = self._tokens.delete(user_id)
        if token is not None and self._provider.revokes:
            self._stack.spawn(self._revoke, user_id, token)

    def secrets(self, user_id: str) -> tuple[str, ...]:
        """Every token of the user that is stored, or that a run still holds.

        Raises: StoreUnavailable.
        """
        stored = self._tokens.load(user_id)
        held = [secret for lease in self._leases_of(user_id) for secret in lease.held.secrets]
        return tuple(dict.fromkeys([*(stored.secrets if stored else ()), *held]))

    def freshen(self, user_id: str) -> None:
        """Refresh the user's token beside the caller, where it ends soon; never waits for the provider."""
        self._stack.spawn(self._freshen, user_id)

    def _freshen(self, user_id: str) -> None:
        try:
            self.get(user_id)
        except RealtimeError as error:
            logger.info("no fresh token for user %r: %s", user_id, error.code)

    def _leases_of(self, user_id: str) -> list[TokenSource]:
        with self._leases_lock:
            leases = list(self._leases)
        return [lease for lease in leases if lease.user_id == user_id]

    def _revoke(self, user_id: str, token: Token) -> None:
        # Many providers end the access token with its refresh token, so runs that go on with it come first.
        while self._leases_of(user_id) and token.expires > time.time():
            self._stack.sleep(HELD_SECONDS)
        doomed = [(token.refresh, "refresh_token")] if token.refresh else []
        doomed.append((token.access, "access_token"))
        try:
            self._stack.call_in_thread(self._provider.revoke, tuple(doomed))
        except RealtimeError as error:
            logger.warning("the tokens of user %r are deleted here, but were not revoked: %s", user_id, error.code)

    def fresh(self, user_id: str, remaining: float) -> Token:
        """As get, but all that is stored."""
        token = self._stored(user_id)
        if not _due(token, remaining):
            return token
        good = token.expires > time.time()
        if good and (not token.refresh or self._rests.get(user_id, 0.0) > time.monotonic()):
            return token
        try:
            self._wait_for_refresh(user_id, remaining)
        except RealtimeError:
            self._rests[user_id] = time.monotonic() + REST_SECONDS
            if token.expires <= time.time():
                raise
        return self._stored(user_id)

    def _stored(self, user_id: str) -> Token:
        token = self._tokens.load(user_id)
        if token is None or (not token.refresh and token.expires <= time.time()):
            raise LoginAgain("Your login has ended. Please log in again.")
        return token

    def _wait_for_refresh(self, user_id: str, remaining: float) -> None:
        signal = self._stack.signal()
        with self._lock:
            flight = self._flights.get(user_id)
            if flight is None:
                flight = self._flights[user_id] = _Flight()
                self._stack.spawn(self._fly, user_id, remaining, flight)
            flight.waiting.append(signal)
        if not signal.wait(WAIT_SECONDS) and not flight.done:
            raise ProviderUnavailable("The login provider does not answer in time. Please try again in a while.")
        if flight.error is not None:
            raise flight.error

    def _fly(self, user_id: str, remaining: float, flight: _Flight) -> None:
        try:
            self._refresh_once(user_id, remaining)
        except RealtimeError as error:
            flight.error = error
        except Exception:
            logger.exception("a refresh failed")
            flight.error = ProviderUnavailable("The token could not be refreshed. Please try again in a while.")
        else:
            self._rests.pop(user_id, None)
        with self._lock:
            del self._flights[user_id]
            flight.done = True
        for signal in flight.waiting:
            signal.set()

    def _refresh_once(self, user_id: str, remaining: float) -> None:
        """Refresh on this node, or wait until another node has."""
        while True:
            release = self._tokens.claim(user_id, CLAIM_SECONDS)
            try:
                token = self._stored(user_id)
                if not _due(token, remaining):
                    return
                if release is not None:
                    self._refresh(user_id, token)
                    return
            finally:
                if release is not None:
                    release()
            self._stack.sleep(POLL_SECONDS)

    def _refresh(self, user_id: str, token: Token) -> None:
        if not token.refresh:
            raise LoginAgain("Your login has ended. Please log in again.")
        try:
            renewed = self._stack.call_in_thread(self._provider.refresh, token)
        except LoginAgain:
            # Asking again is of no use; the access token may be used to its end.
            self._replace(user_id, token, Token(token.access, token.obtained, token.expires))
            raise
        if not self._replace(user_id, token, renewed):
            logger.info("a refreshed token of user %r is dropped: a login or logout came first", user_id)
            if self._provider.revokes:
                self._stack.spawn(self._revoke, user_id, renewed)

    def _replace(self, user_id: str, token: Token, renewed: Token) -> bool:
        # After a rotation the record's refresh token is of no use any more: losing the new one loses the login.
        for _ in range(SAVE_TRIES):
            with contextlib.suppress(StoreUnavailable):
                return self._tokens.replace(user_id, token, renewed)
            self._stack.sleep(SAVE_SECONDS)
        return self._tokens.replace(user_id, token, renewed)


class TokenSource:
    """Gives a run fresh access tokens, called in the hub; `api_url` is where they are accepted."""

    def __init__(self, user_id: str, token: Token, fresh: Callable[[str, float], Token], api_url: str) -> None:
        self.user_id, self.held, self.api_url = user_id, token, api_url
        self._fresh = fresh

    def __call__(self) -> str:
        """An access token: a fresh one, or the one held, as long as it is good, where no other can be had.

        Raises: LoginAgain, ProviderUnavailable, StoreUnavailable once the held one has ended.
        """
        try:
            self.held = self._fresh(self.user_id, JOB_SECONDS)
        except RealtimeError:
            if self.held.expires <= time.time():
                raise
        return self.held.access

    def __repr__(self) -> str:
        """Without the token."""
        return f"<token of {self.user_id}>"


def _due(token: Token, remaining: float) -> bool:
    """Whether it is time for a refresh; a token that never lasts as long as `remaining` is due at half its life."""
    return token.expires - time.time() < min(remaining, (token.expires - token.obtained) / 2)
