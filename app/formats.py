"""A run's output as HTTP carries it: raw bytes, records as lines of JSON, or the same records as Server-Sent Events."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from app.feed import Piece
from app.model import Record, Run, Stream
from app.tap import Event

# EventSource comes back so soon after a cut, in milliseconds.
RETRY = 1000
END = "-end"
encode = msgspec.json.Encoder().encode


class Raw:
    """The bytes alone; what is missing is told in words, in its place."""

    mimetype = "text/plain"
    cut_tells = True

    def __init__(self, stream: Stream | None) -> None:
        self._stream = stream

    def begin(self, _run: Run, _after: int, _line: int) -> bytes:
        """Nothing."""
        return b""

    def event(self, event: Event) -> bytes:
        """An event's bytes, if it has any."""
        name, value = event
        return _once(value, f"raw {self._stream}", self._piece) if name == "output" else b""

    def _piece(self, piece: Piece) -> bytes:
        if piece.omitted:
            reason = f": {piece.reason}" if piece.reason else ""
            return f"\n[{piece.omitted} bytes are missing here{reason}]\n".encode()
        return b"".join(record.data for record in piece.records if self._stream in (None, record.stream))


class Lines:
    """A JSON object a line."""

    mimetype = "application/x-ndjson"
    cut_tells = False
    name = "lines"

    def __init__(self, stream: Stream | None) -> None:
        self._stream = stream

    def begin(self, run: Run, after: int, line: int) -> bytes:
        """The run, and where its output begins here."""
        return self.line("begin", {"run": run.as_dict(), "after": after, "line": line}, str(after))

    def event(self, event: Event) -> bytes:
        """An event as a line, or as several."""
        name, value = event
        if name == "output":
            return _once(value, f"{self.name} {self._stream}", self._piece)
        if name == "status":
            final = value.status.final
            end = f"{value.position}{END}" if final else ""
            return self.line("end" if final else "status", {"run": value.as_dict()}, end)
        return self.line(name, value if isinstance(value, dict) else {"position": value})

    def line(self, kind: str, value: dict[str, Any], _position: str = "") -> bytes:
        """One object."""
        return encode({"type": kind, **value}) + b"\n"

    def _piece(self, piece: Piece) -> bytes:
        found = objects(piece, self._stream)
        return b"".join(self.line(each.pop("type"), each, str(each["position"])) for each in found)


class Events(Lines):
    """The same objects as Server-Sent Events, whose ids are positions."""

    mimetype = "text/event-stream"
    name = "events"

    def begin(self, run: Run, after: int, line: int) -> bytes:
        """As the base, and how soon to come back."""
        return b"retry: %d\n" % RETRY + super().begin(run, after, line)

    def event(self, event: Event) -> bytes:
        """As the base; a heartbeat is a comment."""
        return b":\n\n" if event[0] == "beat" else super().event(event)

    def line(self, kind: str, value: dict[str, Any], position: str = "") -> bytes:
        """One event."""
        numbered = f"id: {position}\n" if position else ""
        return f"{numbered}event: {kind}\ndata: ".encode() + encode({"type": kind, **value}) + b"\n\n"


def objects(piece: Piece, stream: Stream | None) -> list[dict[str, Any]]:
    """A piece as the objects that programs get: a hole, or the output of one stream or of both."""
    if piece.omitted:
        hole = {"start": piece.start, "omitted": piece.omitted, "reason": piece.reason}
        return [{"type": "omitted", **hole, "position": piece.position}]
    return [{"type": "output", **_record(each)} for each in piece.records if stream in (None, each.stream)]


def _record(record: Record) -> dict[str, Any]:
    told = {
        "start": record.start,
        "position": record.position,
        "stream": str(record.stream),
        "time": record.time,
        "line": record.line,
    }
    try:
        return {**told, "data": record.data.decode()}
    except UnicodeDecodeError:
        # What is no text is not made one: nothing may be lost.
        return {**told, "base64": base64.b64encode(record.data).decode()}


def _once(piece: Piece, form: str, make: Callable[[Piece], bytes]) -> bytes:
    """A piece in a form, made once for all viewers."""
    made = piece.forms.get(form)
    if made is None:
        made = piece.forms[form] = make(piece)
    return made


FORMATS: dict[str, type[Raw | Lines]] = {"raw": Raw, "ndjson": Lines, "sse": Events}
# What an Accept may name; the first is for who takes anything.
MIMETYPES: dict[str, str] = {
    "text/plain": "raw",
    "application/octet-stream": "raw",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/event-stream": "sse",
}
