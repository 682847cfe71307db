"""Middleware that tests put around the product: as agents that monitor real users do it, and as careless code does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER = "X-Monitored"


class _Watched:
    """The answer's iterator, which counts what passes; nothing is asked of the application before it is iterated."""

    def __init__(self, begin: Callable[[], Iterable[bytes]]) -> None:
        self._begin = begin
        self._body: Iterable[bytes] = ()
        self.parts = 0

    def __iter__(self) -> Iterator[bytes]:
        self._body = self._begin()
        for part in self._body:
            self.parts += 1
            yield part

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


class Monitor:
    """Wraps the response's iterator, and tells the status in a header."""

    def __init__(self, wsgi: WSGIApplication) -> None:
        self._wsgi = wsgi

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """As WSGI has it."""

        def starting(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, (HEADER, status)], *rest)

        return _Watched(lambda: self._wsgi(environ, starting))


def careless(wsgi: WSGIApplication) -> WSGIApplication:
    """A loop over the answer, which closes nothing."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        for part in wsgi(environ, start_response):
            data = bytes(part)
            yield data

    return answer


def closing(wsgi: WSGIApplication) -> WSGIApplication:
    """Answers by itself, at one address."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/closed":
            return wsgi(environ, start_response)
        start_response("503 Service Unavailable", [("Content-Type", "text/plain"), ("Cache-Control", "max-age=5")])
        return [b"We are closed. Hello tomorrow."]

    return answer


def broken(_wsgi: WSGIApplication) -> WSGIApplication:
    """Cannot be put around anything."""
    raise RuntimeError("no licence\nwas found")


def nothing(_wsgi: WSGIApplication) -> None:
    """Gives no application."""


TEXT = "no callable"
