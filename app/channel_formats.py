"""Channels' streams as HTTP carries them: JSON objects side by side, lines of more to read, or Server-Sent Events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from app.channel_feed import Event
from app.formats import RETRY, encode
from app.store.channels import Change

KEPT_FORMS = 2048
# What stands for the value of a channel that does not exist any more.
NOTHING = "null"


class Joined:
    """Objects of names and values with nothing between them; what a stream says of itself has a name of its own."""

    mimetype = "application/json"

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def event(self, event: Event) -> bytes:
        """An event's object."""
        name, value = event
        if name == "change":
            return _joined(value)
        if name == "past":
            # The first object has all values.
            return b""
        if name == "snapshot":
            found = value[1]
            pairs = (_pair(each, found[each].value if each in found else "") for each in self._names)
            return f"{{{', '.join(pairs)}}}".encode()
        return b'{"Missed": true}' if name == "missed" else b'{"Updates": false}'


class Lines(Joined):
    """An object of several fields a line; `type` says of what kind it is."""

    mimetype = "application/x-ndjson"

    def event(self, event: Event) -> bytes:
        """An event's line."""
        name, value = event
        if name in ("change", "past"):
            return self.change(name, value)
        if name == "snapshot":
            sequence, found = value
            values = {each: raw(found[each].value if each in found else "") for each in self._names}
            return self.line({"type": name, "sequence": sequence, "values": values}, sequence)
        return self.line({"type": name, **({"changes": value} if name == "missed" else {})})

    def change(self, name: str, change: Change) -> bytes:
        """A change's line."""
        return _line(name, change)

    def line(self, value: dict[str, Any], _sequence: int | None = None) -> bytes:
        """One object."""
        return encode(value) + b"\n"


class Events(Lines):
    """The same objects as Server-Sent Events, whose ids are sequence numbers."""

    mimetype = "text/event-stream"

    def begin(self) -> bytes:
        """How soon to come back."""
        return b"retry: %d\n" % RETRY

    def change(self, name: str, change: Change) -> bytes:
        """A change's event."""
        return _event(name, change)

    def line(self, value: dict[str, Any], sequence: int | None = None) -> bytes:
        """One event."""
        return _sse(value, sequence)


def raw(value: str) -> msgspec.Raw:
    """A value as it stands, for an object that is made of it."""
    return msgspec.Raw((value or NOTHING).encode())


def fields(change: Change) -> dict[str, Any]:
    """A change as an object: `time` in seconds since the epoch."""
    told = {"channel": change.name, "sequence": change.sequence, "time": change.time}
    return {**told, "value": raw(change.value)} if change.value else told


def _told(name: str, change: Change) -> dict[str, Any]:
    return {"type": "deleted" if name == "change" and not change.value else name, **fields(change)}


# Each change is made to a form once, for all streams.
@lru_cache(KEPT_FORMS)
def _joined(change: Change) -> bytes:
    return f"{{{_pair(change.name, change.value)}}}".encode()


@lru_cache(KEPT_FORMS)
def _line(name: str, change: Change) -> bytes:
    return encode(_told(name, change)) + b"\n"


@lru_cache(KEPT_FORMS)
def _event(name: str, change: Change) -> bytes:
    # Who is cut off in the midst of the past begins anew.
    return _sse(_told(name, change), change.sequence if name == "change" else None)


def _sse(value: dict[str, Any], sequence: int | None) -> bytes:
    numbered = b"" if sequence is None else b"id: %d\n" % sequence
    return numbered + f"event: {value['type']}\ndata: ".encode() + encode(value) + b"\n\n"


def _pair(name: str, value: str) -> str:
    return f"{json.dumps(name)}: {value or NOTHING}"


FORMATS: dict[str, type[Joined]] = {"json": Joined, "ndjson": Lines, "sse": Events}
# What an Accept may name; the first is for who takes anything.
MIMETYPES: dict[str, str] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/event-stream": "sse",
}
