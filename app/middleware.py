"""Middleware of WSGI_MIDDLEWARE around the application: what monitors, filters or changes requests and answers."""

from __future__ import annotations

import logging
import pkgutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from app.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0


def around(wsgi: WSGIApplication, names: Sequence[str]) -> WSGIApplication:
    """`wsgi` with the middleware of these names (`module:callable`, `module.callable`) around it, the first outermost.

    Raises: ConfigError in one line that says what is the matter with which.
    """
    for name in reversed(names):
        made = _called(name, _found(name), wsgi)
        if not callable(made):
            raise ConfigError(f"WSGI_MIDDLEWARE: {name} gives no application but {_short(made)}")
        wsgi = cast("WSGIApplication", made)
    return wsgi


def _found(name: str) -> Callable[[WSGIApplication], object]:
    try:
        found = pkgutil.resolve_name(name)
    except Exception as error:
        raise ConfigError(f"WSGI_MIDDLEWARE: {name} cannot be loaded: {_line(error)}") from error
    if not callable(found):
        raise ConfigError(f"WSGI_MIDDLEWARE: {name} cannot be called: it is {_short(found)}")
    return cast("Callable[[WSGIApplication], object]", found)


def _called(name: str, middleware: Callable[[WSGIApplication], object], wsgi: WSGIApplication) -> object:
    try:
        return middleware(wsgi)
    except Exception as error:
        raise ConfigError(f"WSGI_MIDDLEWARE: {name} cannot be put around the application: {_line(error)}") from error


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200]


def _short(value: object) -> str:
    return f"a {type(value).__name__}"


class Forgotten:
    """Closes answers that a middleware forgets to close: a stream would otherwise count for its user for ever.

    A loop over the application's answer is all that much middleware is, and such a loop closes nothing.
    """

    def __init__(self) -> None:
        # What is forgotten may be found by any thread, in the midst of anything.
        self._found: deque[Callable[[], object]] = deque()

    def around(self, wsgi: WSGIApplication) -> WSGIApplication:
        """`wsgi`, each of whose answers that has something to close will be closed."""

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            body = wsgi(environ, start_response)
            return _Watched(body, self._found) if hasattr(body, "close") else body

        return answer

    def sweep(self, sleep: Callable[[float], object]) -> None:
        """For ever: close what was found, as hub code."""
        while True:
            sleep(SWEEP_SECONDS)
            while self._found:
                try:
                    self._found.popleft()()
                except Exception:
                    logger.exception("an answer that a middleware left open cannot be closed")


class _Watched:
    """An answer that is closed at its end; one that is dropped before, and was not closed, is told to `forgotten`."""

    def __init__(self, body: Iterable[bytes], forgotten: deque[Callable[[], object]]) -> None:
        self._body, self._forgotten = body, forgotten
        self._parts = iter(body)
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            self.close()
            raise

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._body.close()  # type: ignore[attr-defined] # looked for before

    def __del__(self) -> None:
        if not self._closed:
            self._closed = True
            self._forgotten.append(self._body.close)  # type: ignore[attr-defined] # as above
