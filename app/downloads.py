"""The download of a run's output: its bytes, or plain text; docs/reading-back.md has the options."""

from __future__ import annotations

import math
from typing import TypeVar, cast

from flask import Blueprint, Response, current_app, g, request

from app.console import Console
from app.errors import BadRequest
from app.extract import Extract
from app.lookup import Place
from app.model import Stream

T = TypeVar("T")
bp = Blueprint("downloads", __name__)
OPTIONS = ("format", "gzip", "stream", "after", "line", "tail", "time")
STREAMS = {"all": None, **{str(stream): stream for stream in Stream}}
YES_NO = {"": True, "1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
FORMATS = {"raw": False, "text": True}
LONGEST_NUMBER = 18
# Below this, compressing costs more than it saves.
SMALLEST_GZIP = 1024


@bp.get("/runs/<run_id>/output")
def output(run_id: str) -> Response:
    """A run's output as a file to keep."""
    _check_options()
    plain, packed = _choice("format", "raw", FORMATS), _choice("gzip", "no", YES_NO)
    stream = _choice("stream", "all", STREAMS)
    console = cast(Console, current_app.extensions["console"])
    extract = console.extract(g.user, run_id, place())
    exact = not plain and not packed and stream is None
    wanted = _wanted(extract) if exact else None
    if wanted is not None and (wanted[0] >= wanted[1] or extract.has_hole(*wanted)):
        return _unsatisfiable(extract, hole=wanted[0] < wanted[1])
    first, last = wanted or (0, extract.size)
    encoded = wanted is None and not packed and extract.size >= SMALLEST_GZIP and _takes_gzip()
    body = extract.text(stream) if plain else extract.raw(first, last, stream)
    answer = Response(
        filter(None, extract.gzip(body) if packed or encoded else body),
        status=200 if wanted is None else 206,
        mimetype="application/gzip" if packed else "text/plain",
    )
    name = f"{extract.run.job}-{extract.run.id}.txt{'.gz' if packed else ''}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Accept-Ranges"] = "bytes" if exact else "none"
    answer.vary.add("Accept-Encoding")
    answer.cache_control.no_transform = True
    if encoded:
        answer.headers["Content-Encoding"] = "gzip"
    if extract.omitted:
        answer.headers["X-Omitted-Bytes"] = str(extract.omitted)
    if exact and not encoded:
        _describe(answer, extract, wanted)
    return answer


def _describe(answer: Response, extract: Extract, wanted: tuple[int, int] | None) -> None:
    """Add what only exact bytes have: a length, a tag, the range."""
    if wanted is not None:
        first, last = wanted
        answer.headers["Content-Range"] = (
            f"bytes {first}-{last - 1}/{extract.size if extract.run.status.final else '*'}"
        )
        answer.content_length = last - first
    elif extract.fixed:
        answer.content_length = extract.size
    if extract.fixed:
        answer.set_etag(_tag(extract))


def place() -> Place:
    """Where the download begins, as the address says it."""
    return Place(_whole("after"), _whole("line"), _whole("tail"), _moment())


def _check_options() -> None:
    for name, values in request.args.lists():
        if name not in OPTIONS:
            raise BadRequest(f"There is no option of that name: expected {', '.join(OPTIONS)}")
        if len(values) > 1:
            raise BadRequest(f"{name}: given more than once")


def _choice(name: str, default: str, choices: dict[str, T]) -> T:
    value = request.args.get(name, default).lower()
    if value not in choices:
        raise BadRequest(f"{name}: expected {' or '.join(filter(None, choices))}")
    return choices[value]


def _whole(name: str) -> int | None:
    value = request.args.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER):
        raise BadRequest(f"{name}: expected a whole number")
    return int(value)


def _moment() -> float | None:
    value = request.args.get("time")
    if value is None:
        return None
    try:
        moment = float(value)
    except ValueError:
        moment = math.nan
    if not math.isfinite(moment):
        raise BadRequest("time: expected seconds since 1970")
    return moment


def _wanted(extract: Extract) -> tuple[int, int] | None:
    """The first byte of the range that was asked for, and the one behind it; None for the whole.

    What is no range of bytes, or several, is answered by the whole, as RFC 9110 (14.2) allows.
    """
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    tag = request.headers.get("If-Range")
    if tag is not None and not (extract.fixed and tag.strip() == f'"{_tag(extract)}"'):
        return None
    first, last = asked.ranges[0]
    if first < 0:
        return max(0, extract.size + first), extract.size
    return first, extract.size if last is None else min(last, extract.size)


def _unsatisfiable(extract: Extract, *, hole: bool) -> Response:
    reason = "Of this range something is not kept." if hole else "The output has no such range now."
    answer = Response(reason + "\n", 416, mimetype="text/plain")
    answer.headers["Content-Range"] = f"bytes */{extract.size}"
    if extract.omitted:
        answer.headers["X-Omitted-Bytes"] = str(extract.omitted)
    return answer


def _tag(extract: Extract) -> str:
    return f"{extract.run.id}-{extract.start}-{extract.end}"


def _takes_gzip() -> bool:
    accepted = request.accept_encodings
    return 0 < accepted.quality("gzip") >= accepted.quality("identity")
