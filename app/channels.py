"""Channels as people and programs use them: named live values, shared by all users of the installation."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app import rights
from app.channel_feed import ChannelFeed, Listener
from app.errors import BadRequest, NoSubscription, NotFound
from app.model import User
from app.rights import Action
from app.store.channels import Change, ChannelStore
from app.store.subscriptions import Subscriptions
from app.values import encoded, name_of

__all__ = ["MOST_NAMES", "Change", "Channels"]

MOST_NAMES = 200
COOKIE_BYTES = 16
_COOKIE = re.compile(r"[0-9a-f]{32}")


class Channels:
    """The use cases of channels; raises StoreUnavailable, and LoginRequired without a user."""

    def __init__(self, store: ChannelStore, subscriptions: Subscriptions, feed: ChannelFeed) -> None:
        self._store, self._subscriptions, self._feed = store, subscriptions, feed

    def all(self, user: User | None) -> list[Change]:
        """Every channel with its value, by name."""
        rights.require(user, Action.SEE_CHANNELS)
        return self._store.all()

    def one(self, user: User | None, name: str) -> Change:
        """One channel.

        Raises: NotFound.
        """
        rights.require(user, Action.SEE_CHANNELS)
        found = self._store.read([_checked(name_of, name)])[1]
        if name not in found:
            raise _unknown([name])
        return found[name]

    def set(self, user: User | None, values: Mapping[str, Any]) -> list[Change]:
        """Set channels, which are made where they do not exist; what each holds now.

        Raises: BadRequest; TooMany.
        """
        rights.require(user, Action.SET_CHANNELS)
        if not 0 < len(values) <= MOST_NAMES:
            raise BadRequest(f"values: expected 1 to {MOST_NAMES} channels")
        texts = {_checked(name_of, name): _checked(encoded, value) for name, value in values.items()}
        numbers = self._store.set(texts)
        return [Change(name, text, numbers[name]) for name, text in texts.items()]

    def delete(self, user: User | None, name: str) -> None:
        """Delete a channel; nothing happens where there is none.

        Raises: BadRequest.
        """
        rights.require(user, Action.SET_CHANNELS)
        self._store.set({_checked(name_of, name): ""})

    def subscribe(self, user: User | None, names: Sequence[str], cookie: str) -> str:
        """Remember which channels streams with this cookie have; the cookie, a new one where this is none of theirs.

        Raises: BadRequest; NotFound naming the channels that do not exist.
        """
        user = rights.require(user, Action.SEE_CHANNELS)
        wanted = _names(names)
        found = self._store.read(wanted)[1]
        lacking = [name for name in wanted if name not in found]
        if lacking:
            raise _unknown(lacking)
        # Ids are the server's: one that a visitor, or somebody for them, has made up is never taken.
        known = _COOKIE.fullmatch(cookie) and self._subscriptions.find(cookie, user.id)
        kept = cookie if known else secrets.token_hex(COOKIE_BYTES)
        self._subscriptions.save(kept, user.id, wanted)
        return kept

    def subscribed(self, user: User | None, cookie: str | None) -> tuple[str, ...]:
        """The channels that streams with this cookie have.

        Raises: NoSubscription.
        """
        user = rights.require(user, Action.SEE_CHANNELS)
        if not cookie:
            raise NoSubscription("No session found. Use set_stream first")
        found = self._subscriptions.find(cookie, user.id) if _COOKIE.fullmatch(cookie) else None
        if found is None:
            raise NoSubscription("This session has expired, or is not yours. Use set_stream first")
        return found.names

    def listener(self, user: User | None, names: Sequence[str], silence: float) -> Listener:
        """Whoever is to hear of these channels; it hears nothing before `listen`.

        Raises: BadRequest.
        """
        rights.require(user, Action.SEE_CHANNELS)
        return self._feed.listen(_names(names), silence)

    def listen(self, listener: Listener, after: int | None, past: float, *, strict: bool) -> None:
        """Let it hear, from now on or from a moment of the sequence on; call `leave` at its end, whatever happens.

        Without a moment what came in the `past` seconds is told first.

        Raises: NotFound where channels do not exist, if `strict`.
        """
        self._feed.join(listener)
        lacking = listener.begin(after, past)
        if lacking and strict and after is None:
            raise _unknown(lacking)

    def leave(self, listener: Listener) -> None:
        """Let it hear no more."""
        self._feed.leave(listener)


def _names(names: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(_checked(name_of, name) for name in names))
    if not 0 < len(wanted) <= MOST_NAMES:
        raise BadRequest(f"Stream: expected 1 to {MOST_NAMES} channels")
    return wanted


def _checked(check: Callable[[Any], str], value: Any) -> str:
    try:
        return check(value)
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _unknown(names: Sequence[str]) -> NotFound:
    shown = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")  # noqa: PLR2004 - a sentence's worth
    return NotFound(f"There is no channel {shown}.")
