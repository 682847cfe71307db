"""Channels over HTTP: set, listed, subscribed to and streamed, as docs/channels.md has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, g, request

from app import api_models as models
from app import callers
from app.api import answer, asked, sent
from app.api_output import form_of
from app.channel_feed import Listener
from app.channel_formats import FORMATS, MIMETYPES, Joined, fields
from app.channels import Change, Channels
from app.errors import BadRequest
from app.operations import operation
from app.streams import Streams

bp = Blueprint("channels", __name__, url_prefix="/api/v1.0")
COOKIE = "SUBID"
COOKIE_TEXT = "As `set_stream` has set it."
RESUME_TEXT = "Go on behind this change of another answer, whatever the query says."
_LAST_ID = re.compile(r"\d{1,18}")


def register(app: Flask) -> None:
    """Give `app` these doors; needs the extensions channels, settings, streams."""
    app.register_blueprint(bp)


@bp.get("/channels")
@operation(answer=models.ChannelList)
def all_() -> Response:
    """All channels, by name."""
    asked(models.NoOptions)
    return _several(channels().all(g.user))


@bp.patch("/channels")
@operation(body=models.ChannelValues, answer=models.ChannelList, errors=(429,))
def set_() -> Response:
    """Set several channels at one moment.

    Those that do not exist are made; the others of the installation stay as they are. A value that a channel has
    already is no change.
    """
    asked(models.NoOptions)
    return _several(channels().set(g.user, sent(models.ChannelValues).values))


@bp.get("/channels/<channel>")
@operation(answer=models.ChannelInfo, errors=(404,))
def one(channel: str) -> Response:
    """One channel."""
    asked(models.NoOptions)
    return answer(fields(channels().one(g.user, channel)))


@bp.put("/channels/<channel>")
@operation(body=models.ChannelValue, answer=models.ChannelInfo, errors=(429,))
def set_one(channel: str) -> Response:
    """Set a channel, which is made where it does not exist."""
    asked(models.NoOptions)
    return answer(fields(channels().set(g.user, {channel: sent(models.ChannelValue).value})[0]))


@bp.delete("/channels/<channel>")
@operation(status=204, content=())
def delete(channel: str) -> Response:
    """Delete a channel; nothing happens where there is none."""
    asked(models.NoOptions)
    channels().delete(g.user, channel)
    return Response(status=204)


@bp.post("/set_stream")
@operation(body=models.SetStreamBody, cookies={COOKIE: COOKIE_TEXT}, content=("text/html",), errors=(404,))
def set_stream() -> Response:
    """Choose the channels of `stream`.

    The answer is `ok`, and sets the cookie SUBID where the request has none that is good.
    """
    asked(models.NoOptions)
    given = request.cookies.get(COOKIE, "")
    kept = channels().subscribe(g.user, sent(models.SetStreamBody).stream, given)
    made = Response("ok", content_type="text/html; charset=utf-8")
    if kept != given:
        secure = current_app.extensions["settings"].redirect_uri.startswith("https:")
        made.set_cookie(COOKIE, kept, httponly=True, samesite="Lax", secure=secure)
    return made


@bp.get("/stream")
@bp.get("/stream.<form>")
@operation(
    query=models.StreamQuery,
    headers={"Last-Event-ID": (RESUME_TEXT, "")},
    cookies={COOKIE: COOKIE_TEXT},
    content=("application/json", "application/x-ndjson", "text/event-stream"),
    errors=(404, 406, 429),
)
def stream(form: str | None = None) -> Response:
    """What some channels hold, then each change, live.

    The channels are those of `channel`, or of the cookie SUBID. The form is what `Accept` prefers, or the ending of the
    address: `.json` (objects with nothing between them), `.ndjson`, `.sse`.
    """
    query, shape = asked(models.StreamQuery), form_of(form, FORMATS, MIMETYPES)
    after = _after(query.after)
    names = query.channel or channels().subscribed(g.user, request.cookies.get(COOKIE))
    listener = channels().listener(g.user, names, query.heartbeat)
    leave = cast(Streams, current_app.extensions["streams"]).enter(
        g.user.id, callers.holder(), listener.close, request.environ
    )
    made = Response(mimetype=shape.mimetype)
    made.call_on_close(leave)
    # Whatever goes wrong from here on: nobody is left behind.
    here = channels()
    made.call_on_close(lambda: here.leave(listener))
    try:
        here.listen(listener, after, query.past, strict=bool(query.channel))
    except BaseException:
        made.close()
        raise
    made.response = _body(listener, shape(listener.names), follow=query.follow)
    # nginx would keep what comes until it is much.
    made.headers["X-Accel-Buffering"] = "no"
    made.vary.add("Accept")
    made.vary.add("Cookie")
    return made


def channels() -> Channels:
    """The use cases of this application's channels."""
    return cast(Channels, current_app.extensions["channels"])


def _body(listener: Listener, shape: Joined, *, follow: bool) -> Iterator[bytes]:
    yield shape.begin()
    for event in listener if follow else listener.first():
        data = shape.event(event)
        if data:
            yield data


def _after(asked_for: int | None) -> int | None:
    given = request.headers.get("Last-Event-ID")
    if not given:
        return asked_for
    if not _LAST_ID.fullmatch(given):
        raise BadRequest("Last-Event-ID: expected the id of an event")
    return int(given)


def _several(found: list[Change]) -> Response:
    made: dict[str, Any] = {"channels": [fields(each) for each in found]}
    return answer(made)
