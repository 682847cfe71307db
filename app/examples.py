"""Examples of websockets beside answers that stream and middleware around all: docs/middleware.md.

Each view talks over a websocket while it answers: over a plain one, where the request asks for that, or over a
connection of Socket.IO that the caller names (`?socket=`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from flask import Blueprint, Flask, Response, current_app, g, render_template, request

from app import callers, handover
from app.errors import NotFound
from app.streams import Streams
from app.websocket import Closed, Websocket

logger = logging.getLogger(__name__)

bp = Blueprint("examples", __name__, url_prefix="/examples")
# Whoever is greeted has so long to answer.
ANSWER_SECONDS = 20.0
# An answer is shown to people and in the log.
LONGEST_ANSWER = 200
EVENT = "greeting"
FROM_VIEW, FROM_ITERATOR = "Hello from view!", "Hello from iterator!"

Talk = Callable[[str], str | None]


def register(app: Flask) -> None:
    """Give `app` the examples; needs the extensions settings, streams, sockets."""
    if app.extensions["settings"].examples == "on":
        app.register_blueprint(bp)


@bp.get("/")
def page() -> str:
    """A page that calls both views and answers their greetings."""
    return render_template("examples.html", event=EVENT)


@bp.get("/plain", websocket=True)
@bp.get("/plain")
def plain() -> Response:
    """A view that is greeted and answered over a websocket, and then answers itself, in one piece."""
    _, close, said = _greeted()
    made = Response(f"Hello from a plain view.\n{_told(said)}", mimetype="text/plain")
    made.call_on_close(close)
    return made


@bp.get("/streamed", websocket=True)
@bp.get("/streamed")
def streamed() -> Response:
    """The same, whose answer is an iterator that itself goes on talking over the websocket."""
    talk, close, said = _greeted()

    def pieces() -> Iterator[bytes]:
        # Cut where it hurts.
        yield b"Hel"
        yield f"lo from a streamed view.\n{_told(said)}".encode()
        yield _told(talk(FROM_ITERATOR)).encode()
        yield b"The end, and hell"
        yield b"o again.\n"

    made = Response(_Parts(pieces(), close), mimetype="text/plain", direct_passthrough=True)
    # nginx would keep what comes until it is much.
    made.headers["X-Accel-Buffering"] = "no"
    return made


class _Parts:
    """The parts of an answer, closed as WSGI has it: what Flask passes on directly it does not close itself."""

    def __init__(self, parts: Iterable[bytes], close: Callable[[], object]) -> None:
        self._parts, self._close = iter(parts), close

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None:
        self._close()


def _greeted() -> tuple[Talk, Callable[[], object], str | None]:
    """How to talk, what ends that, and what was said to the view's greeting.

    Raises: as `_talk`.
    """
    talk, close = _talk()
    try:
        return talk, close, talk(FROM_VIEW)
    except BaseException:
        close()
        raise


def _told(said: str | None) -> str:
    return "Nobody answered.\n" if said is None else f"The answer was: {said}\n"


def _talk() -> tuple[Talk, Callable[[], object]]:
    """How to talk with whom the request names, and what ends that.

    Raises: BadRequest, NotFound, TooMany, ServerFull, ServerStopping.
    """
    if handover.asked(request.environ):
        return _websocket()
    socket = request.args.get("socket")
    if socket is None:
        return (lambda _text: None), (lambda: None)
    return _socketio(socket)


def _websocket() -> tuple[Talk, Callable[[], object]]:
    websocket = Websocket(request.environ)
    leave = cast(Streams, current_app.extensions["streams"]).enter(
        g.user.id, callers.holder(), websocket.end, request.environ
    )

    def close() -> None:
        try:
            websocket.close()
        finally:
            leave()

    def talk(text: str) -> str | None:
        try:
            websocket.send(text)
            return _logged(websocket.receive(ANSWER_SECONDS))
        except (Closed, TimeoutError):
            return None

    try:
        websocket.accept()
    except BaseException:
        close()
        raise
    return talk, close


def _socketio(socket: str) -> tuple[Talk, Callable[[], object]]:
    door = current_app.extensions["sockets"]
    if not door.belongs(socket, g.user):
        raise NotFound("You have no such connection of Socket.IO.")
    leave = cast(Streams, current_app.extensions["streams"]).enter(
        g.user.id, callers.holder(), lambda: None, request.environ
    )

    def talk(text: str) -> str | None:
        answer = door.ask(socket, EVENT, {"data": text}, ANSWER_SECONDS)
        return _logged(answer) if isinstance(answer, str) else None

    return talk, leave


def _logged(said: str) -> str:
    logger.info("a greeting was answered: %s", said[:LONGEST_ANSWER])
    return said[:LONGEST_ANSWER]
