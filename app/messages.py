"""What clients send: each part of a message is what it should be, or the answer says what was expected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from app.errors import BadRequest
from app.lookup import MATCHES, Place
from app.matching import QUERY_CHARACTERS, Query

TEXT_LENGTH = 200
LINE_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    """A `search`, as it was asked for."""

    query: Query
    after: int | None
    backwards: bool
    limit: int


def only(name: str, args: tuple[Any, ...]) -> dict[str, Any]:
    """The one object that an event brings; empty where it brings none."""
    if not args or (len(args) == 1 and args[0] is None):
        return {}
    if len(args) > 1 or not isinstance(args[0], dict):
        raise BadRequest(f"{name}: expected one object")
    return args[0]


def text(message: dict[str, Any], name: str, default: str | None, most: int = TEXT_LENGTH) -> str | None:
    """A text that is not empty."""
    value = message.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name}: expected a text")
    if len(value) > most:
        raise BadRequest(f"{name}: at most {most} characters")
    return value


def whole(message: dict[str, Any], name: str) -> int:
    """A whole number."""
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequest(f"{name}: expected a whole number")
    return value


def run_id(message: dict[str, Any]) -> str:
    """The run that is meant."""
    found = text(message, "run", None)
    if found is None:
        raise BadRequest("run: expected the id of a run")
    return found


def line(message: dict[str, Any]) -> str | None:
    """What was typed for a run; None: the end of all input."""
    end = message.get("eof", False)
    if not isinstance(end, bool):
        raise BadRequest("eof: expected true or false")
    value = message.get("line")
    if end:
        if value is not None:
            raise BadRequest("input: expected `line` or `eof`, not both")
        return None
    if not isinstance(value, str):
        raise BadRequest("line: expected a text")
    if len(value) > LINE_LENGTH:
        raise BadRequest(f"line: at most {LINE_LENGTH} characters")
    if "\n" in value or "\r" in value:
        raise BadRequest("line: expected one line")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequest("line: half a character is no text") from None
    return value


def place(message: dict[str, Any]) -> Place:
    """Where a `watch` begins."""
    moment = message.get("time")
    if moment is not None and (
        not isinstance(moment, int | float) or isinstance(moment, bool) or not math.isfinite(moment)
    ):
        raise BadRequest("time: expected seconds since 1970")
    return Place(
        _whole_if_any(message, "after"), _whole_if_any(message, "line"), _whole_if_any(message, "tail"), moment
    )


def search(message: dict[str, Any]) -> Search:
    """A search.

    Raises: BadRequest, also for a pattern that is none.
    """
    options = {name: message.get(name, False) for name in ("backwards", "ignore_case")}
    for name, value in options.items():
        if not isinstance(value, bool):
            raise BadRequest(f"{name}: expected true or false")
    wanted, pattern = (text(message, name, None, QUERY_CHARACTERS) for name in ("text", "pattern"))
    query = Query(wanted, pattern, ignore_case=options["ignore_case"])
    limit = _whole_if_any(message, "limit")
    return Search(query, _whole_if_any(message, "after"), options["backwards"], MATCHES if limit is None else limit)


def _whole_if_any(message: dict[str, Any], name: str) -> int | None:
    return None if message.get(name) is None else whole(message, name)
