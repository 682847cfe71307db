"""A run's output as an answer that goes on: in the form that is asked for, from any place, at the client's own pace."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from typing import TypeVar, cast

from flask import Response, current_app, g, request
from werkzeug.exceptions import NotAcceptable, NotFound

from app import callers
from app.api_models import OutputQuery
from app.console import Console
from app.errors import BadRequest
from app.formats import END, FORMATS, MIMETYPES, Lines, Raw
from app.lookup import Place
from app.model import Stream
from app.stack import Stack
from app.streams import Streams
from app.tap import Tap

_LAST_ID = re.compile(rf"(\d{{1,18}})({END})?")
T = TypeVar("T")
STREAMS = {"all": None, "out": Stream.OUT, "err": Stream.ERR}
NO_CONTENT = 204


def answer(console: Console, run_id: str, query: OutputQuery, form: str | None) -> Response:
    """The output of a run of the caller's.

    Raises: NotFound, BadRequest, TooMany, ServerStopping, StoreUnavailable.
    """
    shape = form_of(form, FORMATS, MIMETYPES)(STREAMS[query.stream])
    run = console.run(g.user, run_id)
    last = _last_id()
    if last is not None and last[1]:
        # An EventSource comes again after the end, until it is told so.
        return Response(status=NO_CONTENT)
    place = Place(query.after, query.line, query.tail, query.time) if last is None else Place(after=last[0])
    tap = Tap(cast(Stack, current_app.extensions["stack"]).signal(), query.heartbeat)
    found, viewer, (after, line) = console.watch(
        g.user,
        run,
        place,
        send_output=tap.output,
        send_status=tap.status,
        send_behind=tap.behind,
        send_queue=tap.queue,
        has_room=lambda: True,
        window=current_app.extensions["settings"].window_bytes,
    )
    tap.attach(viewer, None if query.follow or found.status.final else found.position)
    try:
        streams = cast(Streams, current_app.extensions["streams"])
        # Those of a thread of this server's end with it.
        here = found.executor == "thread"
        leave = streams.enter(g.user.id, callers.holder(), tap.close, request.environ, ends=here)
    except BaseException:
        tap.close()
        raise
    made = Response(_body(tap, shape, shape.begin(found, after, line)), mimetype=shape.mimetype)
    made.headers["Content-Disposition"] = f'attachment; filename="{found.job}-{found.id}.txt"'
    # nginx would keep what comes until it is much.
    made.headers["X-Accel-Buffering"] = "no"
    # Positions count bytes.
    made.cache_control.no_transform = True
    made.vary.add("Accept")
    made.call_on_close(tap.close)
    made.call_on_close(leave)
    return made


def _body(tap: Tap, shape: Raw | Lines, first: bytes) -> Iterator[bytes]:
    # Nothing is something here: the answer's head goes out, however long the run is silent.
    yield first
    for event in tap:
        data = shape.event(event)
        if data:
            yield data
    if shape.cut_tells and not tap.complete:
        # Bytes alone cannot say that more was to come; a connection that breaks does.
        raise ConnectionResetError(errno.ECONNRESET, "the answer ends before the output")


def form_of(form: str | None, formats: Mapping[str, T], mimetypes: Mapping[str, str]) -> T:
    """The form that the address ends on (None: on none), or that `Accept` prefers; else that of the first type.

    Raises: werkzeug's NotFound and NotAcceptable.
    """
    if form is not None:
        if form not in formats:
            raise NotFound
        return formats[form]
    known = list(mimetypes)
    best = request.accept_mimetypes.best_match(known) if request.accept_mimetypes else known[0]
    if best is None:
        raise NotAcceptable
    return formats[mimetypes[best]]


def _last_id() -> tuple[int, bool] | None:
    """The position behind which the caller goes on, and whether it has had the end too."""
    given = request.headers.get("Last-Event-ID")
    if not given:
        return None
    read = _LAST_ID.fullmatch(given)
    if read is None:
        raise BadRequest("Last-Event-ID: expected the id of an event")
    return int(read[1]), read[2] is not None
