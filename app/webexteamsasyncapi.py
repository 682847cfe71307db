"""A small asyncio client of the Webex API for jobs: what to do is decided in pure functions, then done by aiohttp.

More of the API is one more method like `rooms`. Facts of the API: https://developer.webex.com/docs/basics
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Protocol, Self

import aiohttp
from yarl import URL

from app.errors import LoginAgain, ProviderUnavailable, RealtimeError

DEFAULT_URL = "https://webexapis.com/v1"
CONCURRENCY = 40
ROOMS_A_PAGE = 100
MESSAGES_A_PAGE = 500
DEFAULT_WAIT, SHORTEST_WAIT, LONGEST_WAIT = 5.0, 1.0, 3600.0
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0
MOST_LIMITED, MOST_BROKEN = 30, 5
TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10, sock_read=60)
_LIMITED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.LOCKED)
_BROKEN = (0, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_TOLD = 300  # characters of a server's message that an error repeats
_log = logging.getLogger(__name__)


class TokenSource(Protocol):
    """What a job gets as `token`: call it, in a thread, for an access token that is good now."""

    api_url: str

    def __call__(self) -> str:
        """An access token."""


class WebexError(RealtimeError):
    """Webex refused a request, or its answer makes no sense."""

    code = "webex"
    http_status = 502


@dataclass(frozen=True)
class Reply:
    """An answer; status 0 means that none came, and `body` says why."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    next: URL | None = None


def wait_seconds(retry_after: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, be it a number, a date or nonsense, kept within sane limits."""
    text = (retry_after or "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return DEFAULT_WAIT
        # A date in "-0000" comes back without a zone and means UTC (RFC 5322, 3.3).
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
    if math.isnan(seconds):
        return DEFAULT_WAIT
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)


class Tries:
    """How often one request was tried, and how long to wait before it is tried again."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._limited = self._broken = self._refused = 0

    def pause_after(self, reply: Reply, now: datetime) -> float | None:
        """Seconds to wait before the next try; None where another try is of no use."""
        if reply.status == HTTPStatus.UNAUTHORIZED:
            # The token may have been replaced since it was asked for, so one new one is worth a try.
            self._refused += 1
            return 0.0 if self._refused == 1 else None
        if reply.status in _LIMITED:
            self._limited += 1
            asked = wait_seconds(reply.headers.get("Retry-After"), now)
            return asked if self._limited < MOST_LIMITED else None
        if reply.status in _BROKEN:
            self._broken += 1
            return self._backoff(reply, now) if self._broken < MOST_BROKEN else None
        return None

    def _backoff(self, reply: Reply, now: datetime) -> float:
        # Half of it is by chance, lest forty requests that failed together come back together.
        backoff = min(FIRST_BACKOFF * 2.0**self._broken, LONGEST_BACKOFF) * (0.5 + self._chance() / 2)
        asked = reply.headers.get("Retry-After")
        return backoff if asked is None else max(backoff, wait_seconds(asked, now))


def complaint(reply: Reply, path: str, token: str) -> RealtimeError:
    """The error for a reply that is final; its text is for people and never holds the token."""
    told = _message(reply).replace(token, "***") if token else _message(reply)
    if reply.status == 0:
        return ProviderUnavailable(f"Webex cannot be reached: {told or 'no answer'}")
    if reply.status == HTTPStatus.UNAUTHORIZED:
        return LoginAgain(f"Webex does not accept this login any more. Please log out and in again. {told}".strip())
    if reply.status in _LIMITED:
        return ProviderUnavailable(f"Webex asks to wait again and again ({reply.status} for {path}). Please try later.")
    text = f"Webex answered {reply.status} to {path}" + (f": {told}" if told else ".")
    return ProviderUnavailable(text) if reply.status in _BROKEN else WebexError(text)


def _message(reply: Reply) -> str:
    """The sentence of an error body, with its tracking id; empty for a body that is none of Webex' own."""
    text = reply.body.decode(errors="replace")
    if reply.status:
        try:
            body = json.loads(text)
        except ValueError:
            return ""
        if not isinstance(body, dict):
            return ""
        tracking = body.get("trackingId")
        text = str(body.get("message") or "") + (f" (tracking id {tracking})" if tracking else "")
    return " ".join(text.split())[:_TOLD]


def items_of(reply: Reply, path: str) -> list[dict[str, Any]]:
    """The items of a page.

    Raises: WebexError for anything but `{"items": [{...}, ...]}`.
    """
    try:
        items = json.loads(reply.body)["items"]
    except (ValueError, TypeError, KeyError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise WebexError(f"Webex' answer to {path} is not the list that was expected.")
    return items


def next_page(here: URL, following: URL | None) -> URL | None:
    """The address of the page after `here`; None after the last one.

    Raises: WebexError where it is on another server, which must not see the token, or where it is `here` again.
    """
    if following is None:
        return None
    if _server(following) != _server(here):
        raise WebexError(f"Webex names a next page on another server ({following.host}): it was not asked for.")
    if following == here:
        raise WebexError("Webex names a page as the next one after itself.")
    return following


def _address(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise WebexError(f"{text!r} is no http or https address.")
    return url


def _server(url: URL) -> tuple[object, ...]:
    return url.scheme, url.host, url.port, url.user


class WebexTeamsAsyncAPI:
    """The API as one user sees it: `async with WebexTeamsAsyncAPI(token, base_url=token.api_url) as api`.

    `token` is asked before each request, in a thread, since that may take a network round trip.
    Every method raises LoginAgain, ProviderUnavailable or WebexError, with texts for people.
    """

    def __init__(self, token: Callable[[], str], base_url: str = DEFAULT_URL) -> None:
        self._token = token
        self._base = _address(base_url)
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the one session; certificates are verified, as aiohttp does by default."""
        # The threaded resolver by name: a resolver built on another event library must not be picked up here.
        connector = aiohttp.TCPConnector(limit=CONCURRENCY, resolver=aiohttp.ThreadedResolver())
        self._session = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT)
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()

    def rooms(self, page: int = ROOMS_A_PAGE) -> AsyncGenerator[dict[str, Any], None]:
        """The user's spaces, `page` of them per request."""
        return self.items("rooms", max=page)

    def messages(self, room_id: str) -> AsyncGenerator[dict[str, Any], None]:
        """The messages of a space, newest first."""
        return self.items("messages", roomId=room_id, max=MESSAGES_A_PAGE)

    async def items(self, path: str, **query: str | int) -> AsyncGenerator[dict[str, Any], None]:
        """All items of a list, page by page, each page asked for when the one before it is used up."""
        url: URL | None = (self._base / path).with_query(query)
        while url is not None:
            reply = await self._get(url)
            for item in items_of(reply, url.path):
                yield item
            url = next_page(url, reply.next)

    async def _get(self, url: URL) -> Reply:
        tries = Tries()
        # The slot is kept while waiting: so a limit that Webex sets slows all requests, not this one alone.
        async with self._slots:
            while True:
                token = await asyncio.to_thread(self._token)
                reply = await self._once(url, token)
                if reply.status == HTTPStatus.OK:
                    return reply
                pause = tries.pause_after(reply, datetime.now(UTC))
                if pause is None:
                    raise complaint(reply, url.path, token)
                # Below the level that reaches a run's output: that belongs to the job.
                _log.debug("Webex answered %d to %s: next try in %.1f s", reply.status, url.path, pause)
                await asyncio.sleep(pause)

    async def _once(self, url: URL, token: str) -> Reply:
        if self._session is None:
            raise WebexError("Use the client as `async with WebexTeamsAsyncAPI(...) as api`.")
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                return Reply(answer.status, await answer.read(), answer.headers, _link(answer))
        except aiohttp.ClientSSLError as error:
            raise ProviderUnavailable(f"The connection to Webex is not safe: {error}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            return Reply(0, (str(error) or type(error).__name__).encode())


def _link(answer: aiohttp.ClientResponse) -> URL | None:
    try:
        return URL(str(answer.links["next"]["url"])) if "next" in answer.links else None
    except ValueError:
        raise WebexError("Webex names a next page by an address that is none.") from None
