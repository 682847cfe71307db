"""The API: people/me, rooms and messages, with paging by Link."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from aiohttp import web
from yarl import URL

from simulator.answers import STATE, problem, single
from simulator.data import Person, Space

MOST = 1000
ROOMS, MESSAGES = 100, 50
SORTS: dict[str, Callable[[Space], Any]] = {
    "id": lambda space: space.record["id"],
    "lastactivity": lambda space: -space.active.timestamp(),
    "created": lambda space: -space.created.timestamp(),
}
Reader = Callable[[web.Request, Person, dict[str, str]], web.Response]


def with_login(reader: Reader) -> Callable[[web.Request], Any]:
    """A handler that asks for a good access token, and answers 400 where `reader` raises ValueError."""

    async def handler(request: web.Request) -> web.Response:
        state = request.app[STATE]
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = state.grants.user_of(token.strip()) if scheme.lower() == "bearer" else None
        if user is None or user >= len(state.world.people):
            return problem(401)
        try:
            return reader(request, state.world.people[user], single(request.query.items()))
        except ValueError as error:
            return problem(400, str(error))

    return handler


def base_url(request: web.Request) -> URL:
    """The API's address as whoever sent this request reaches it."""
    knobs = request.app[STATE].knobs
    hosts = {request.host, request.headers.get("X-Forwarded-Host", "")}
    if knobs.public_url and URL(knobs.public_url).authority in hosts:
        return URL(knobs.public_url)
    return URL(knobs.internal_url or str(URL.build(scheme="http", authority=request.host, path="/v1")))


def _page(request: web.Request, items: list[dict[str, Any]], path: str, after: dict[str, str]) -> web.Response:
    """A page of items; `after` is the query of the next page, empty for the last one."""
    headers = {"Link": f'<{(base_url(request) / path).with_query(after)}>; rel="next"'} if after else {}
    return web.json_response({"items": items}, headers=headers)


def _size(query: dict[str, str], default: int) -> int:
    text = query.get("max", str(default))
    if not (text.isascii() and text.isdigit() and int(text[:20])):
        raise ValueError(f"max must be a whole number from 1 to {MOST}.")
    return min(int(text[:20]), MOST)


def _choice(query: dict[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = query.get(name, "")
    if value and value not in allowed:
        raise ValueError(f"{name} must be one of: {', '.join(allowed)}.")
    return value


def me(_request: web.Request, person: Person, _query: dict[str, str]) -> web.Response:
    """GET /people/me: who the token belongs to."""
    return web.json_response(person.record)


def rooms(request: web.Request, person: Person, query: dict[str, str]) -> web.Response:
    """GET /rooms: the spaces of the token's owner, the latest active first unless `sortBy` says otherwise."""
    size, start = _size(query, ROOMS), _start(query.get("cursor", ""))
    kind = _choice(query, "type", ("direct", "group"))
    sort = SORTS[_choice(query, "sortBy", tuple(SORTS)) or "lastactivity"]
    # No space belongs to a team, so any teamId finds nothing.
    spaces = [] if query.get("teamId") else list(request.app[STATE].world.spaces(person).values())
    chosen = sorted((space for space in spaces if kind in ("", space.record["type"])), key=sort)[start : start + size]
    # A full page names a next one even where that is empty, as Webex does.
    after = {**query, "max": str(size), "cursor": _cursor(start + size)} if len(chosen) == size else {}
    return _page(request, [space.record for space in chosen], "rooms", after)


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(f"from:{start}".encode()).decode().rstrip("=")


def _start(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        number = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).removeprefix(b"from:")[:12])
    except ValueError:
        number = -1
    if number < 0 or _cursor(number) != cursor:
        raise ValueError("cursor is none that this server gave.")
    return number


def messages(request: web.Request, person: Person, query: dict[str, str]) -> web.Response:
    """GET /messages: the messages of one space, newest first."""
    size = _size(query, MESSAGES)
    if not query.get("roomId"):
        raise ValueError("roomId is required.")
    space = request.app[STATE].world.spaces(person).get(query["roomId"])
    if space is None:
        return problem(404)
    start = _first(space, query)
    if start is None:
        return problem(404)
    wanted = _wanted(query, person)
    items = list(islice(_from(space, start, wanted), size))
    after = {**query, "max": str(size), "beforeMessage": items[-1]["id"]} if len(items) == size else {}
    return _page(request, items, "messages", after)


def _from(space: Space, start: int, wanted: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    return (item for item in map(space.message, range(start, space.count)) if wanted(item))


def _first(space: Space, query: dict[str, str]) -> int | None:
    """The number of the first message to show; None where `beforeMessage` is unknown."""
    start = 0
    if before := query.get("before"):
        moment = datetime.fromisoformat(before)
        if moment.tzinfo is None:
            raise ValueError("before needs a time zone, such as the Z of 2026-01-01T00:00:00.000Z.")
        start = space.first_before(moment)
    if message_id := query.get("beforeMessage"):
        number = space.number_of(message_id)
        return None if number is None else max(start, number + 1)
    return start


def _wanted(query: dict[str, str], person: Person) -> Callable[[dict[str, Any]], bool]:
    parent, mentioned = query.get("parentId"), query.get("mentionedPeople")
    mentioned = person.id if mentioned == "me" else mentioned

    def fits(item: dict[str, Any]) -> bool:
        return (not parent or item.get("parentId") == parent) and (
            not mentioned or mentioned in item.get("mentionedPeople", ())
        )

    return fits
