"""What every answer carries: a strict Content-Security-Policy with a nonce of its own, and its companions."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# No 'unsafe-inline' and no 'strict-dynamic': a module script hands its nonce on to what it imports, and the terminal's
# style elements are given the nonce as they are made.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
BARE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Socket.IO's packets are no text for people: whoever changes answers on their way leaves them alone.
BARE_CACHE = "no-store, no-transform"
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
YEAR = 31_536_000


def register(app: Flask) -> None:
    """Give every answer of `app`, error pages included, its headers; `csp_nonce()` is there for templates."""
    app.after_request(_add)
    app.jinja_env.globals["csp_nonce"] = csp_nonce


def around(wsgi: WSGIApplication) -> WSGIApplication:
    """`wsgi` with these headers on answers that no view made: those of Socket.IO's polling, and its refusals."""
    bare = [*HEADERS.items(), ("Content-Security-Policy", BARE_POLICY), ("Cache-Control", BARE_CACHE)]

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def starting(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            there = {name.lower() for name, _ in headers}
            return start_response(status, [*headers, *(each for each in bare if each[0].lower() not in there)], *rest)

        return wsgi(environ, starting)

    return answer


def csp_nonce() -> str:
    """The nonce of the page that is being made: 128 random bits, the same for the whole request."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    nonce: str = g.csp_nonce
    return nonce


def _add(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY.format(nonce=csp_nonce())
    response.headers.update(HEADERS)
    exact = ", no-transform" if response.cache_control.no_transform else ""
    response.headers["Cache-Control"] = _cache_control(response.status_code) + exact
    return response


def _cache_control(status: int) -> str:
    """Files with a version in their address never change, other static files are asked about, pages are never kept."""
    versioned = request.endpoint == "views.vendor" or (request.endpoint == "static" and "v" in request.args)
    if versioned and status in {200, 206, 304}:
        return f"public, max-age={YEAR}, immutable"
    return "no-cache" if request.endpoint == "static" else "no-store"
