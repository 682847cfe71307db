"""Where visitors come from, told to the audit record before any door opens; foreign pages at the websocket's door."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from app import audit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SOCKET_PATH = "/socket.io"


def around(wsgi: WSGIApplication, origins: Collection[str]) -> WSGIApplication:
    """`wsgi`, whose doors know where a visitor comes from.

    Socket.IO refuses connections from pages of other origins by itself; here that is recorded.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        arrive(environ)
        origin = environ.get("HTTP_ORIGIN")
        if origin and origin not in origins and environ.get("PATH_INFO", "").startswith(SOCKET_PATH):
            audit.enter("socket:connect")
            audit.denied("origin", detail=origin)
        return wsgi(environ, start_response)

    return answer


def arrive(environ: WSGIEnvironment, door: str = "") -> None:
    """Somebody comes, by HTTP or by an event of the socket that a request has opened."""
    audit.arrive(environ.get("REMOTE_ADDR", ""), _address(environ.get("HTTP_X_REAL_IP", "")), door)


def _address(text: str) -> str:
    # Anybody may send this header; what is no address is no news.
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
