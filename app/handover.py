"""Connections that a request has handed over to a websocket, whatever middleware stands around the application.

WSGI has no word for them. The libraries end such a request by an exception that a generator turns into an error, or by
an answer that nobody may send; and middleware that answers by an iterator calls the application only once its answer is
asked for. So a websocket leaves a mark with the request; middleware sees an answer like any other, 101 with a body; and
the server's worker runs all of it to its end, sends nothing of it, and closes the connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

KEY = "realtime.handover"
UPGRADE = "HTTP_UPGRADE"
STATUS = "101 Switching Protocols"


class Handover:
    """What became of a request that asks for another protocol; copies of its environ share this one."""

    served = False


def asked(environ: WSGIEnvironment) -> bool:
    """Whether a request asks for another protocol."""
    return UPGRADE in environ


def is_websocket(environ: WSGIEnvironment) -> bool:
    """Whether a request's connection has become a websocket's."""
    handover = environ.get(KEY)
    return handover is not None and handover.served


def mark(environ: WSGIEnvironment) -> bool:
    """The request's connection is a websocket's from now on; False where nobody looks after such ones."""
    handover = environ.get(KEY)
    if handover is None:
        return False
    handover.served = True
    return True


def inside(wsgi: WSGIApplication) -> WSGIApplication:
    """`wsgi`, whose websockets are told to the middleware around it by the status that they have on the wire."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        handover = environ.get(KEY)
        if handover is None:
            return wsgi(environ, start_response)
        told = False

        def starting(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal told
            told = True
            return start_response(STATUS, [], *rest) if handover.served else start_response(status, headers, *rest)

        body = wsgi(environ, starting)
        if handover.served and not told:
            start_response(STATUS, [])
        return body

    return answer


def outside(wsgi: WSGIApplication) -> WSGIApplication:
    """`wsgi` with all its middleware, for a worker of gunicorn's.

    It raises StopIteration, by which such a worker closes a connection without another word, after a websocket.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not asked(environ):
            return wsgi(environ, start_response)
        handover = environ[KEY] = Handover()
        try:
            found = _begun(wsgi(environ, start_response), handover)
        except Exception as error:
            if not handover.served:
                raise
            # Nothing that could be said of it belongs on a websocket.
            if not isinstance(error, OSError):
                logger.exception("a request failed that had become a websocket")
        else:
            if not handover.served:
                return found
        raise StopIteration

    return answer


def _begun(body: Iterable[bytes], handover: Handover) -> Iterable[bytes]:
    """An answer of which it is known that it is one; a websocket's is run to its end here."""
    parts = iter(body)
    first = b""
    try:
        # A websocket's middleware may not have called the application yet.
        while not first and not handover.served:
            part = next(parts, None)
            if part is None:
                break
            first = part
        if handover.served:
            for _ in parts:
                pass
    except BaseException:
        _close(body)
        raise
    if handover.served:
        _close(body)
    return _Begun(chain((first,), parts), body)


class _Begun:
    """An answer whose first part has been taken already."""

    def __init__(self, parts: Iterator[bytes], body: Iterable[bytes]) -> None:
        self._parts, self._body = parts, body

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None:
        _close(self._body)


def _close(body: Iterable[bytes]) -> None:
    close: Callable[[], object] | None = getattr(body, "close", None)
    if close is not None:
        close()


def marking(base: type) -> type:
    """A kind of Engine.IO's websocket applications that leaves the mark, and ends like any other application."""

    class Marking(base):  # type: ignore[misc] # it is the async library's own
        def __init__(self, handler: Callable[[Any], Any], server: Any) -> None:
            def handle(websocket: Any) -> Any:
                # eventlet's has the request itself, the threads' has it a step away.
                mark(getattr(websocket, "environ", None) or websocket.ws.environ)
                return handler(websocket)

            super().__init__(handle, server)

        def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
            try:
                return super().__call__(environ, start_response)
            except StopIteration:
                if not is_websocket(environ):
                    raise
                return []

    return Marking


def install(engine: Any) -> None:
    """Have an Engine.IO server's websockets leave their marks."""
    engine._async = {**engine._async, "websocket": marking(engine._async["websocket"])}
