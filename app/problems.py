"""Errors as programs get them: problem documents (RFC 9457), for everything under /api."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import RequestRedirect

from app import handover
from app.errors import LoginRequired, RealtimeError, TooMany

TYPE = "application/problem+json"
PREFIX = "/api/"
MANUAL = "/api/v1.0/docs"
RETRY_SECONDS = 5
CHALLENGE = 'Bearer realm="Flask-Realtime"'
CRASHED = "Something went wrong on this server; its log has the details."
# What HTTP itself refuses, by status: the code, and a sentence that says what to do.
REFUSED = {
    400: ("bad_request", "The request cannot be read."),
    404: ("not_found", "There is no such address."),
    405: ("method_not_allowed", "This address does not take this method."),
    406: (
        "not_acceptable",
        "Output comes as text/plain, channels as application/json, both as text/event-stream and application/x-ndjson.",
    ),
    413: ("too_large", "A request has one megabyte at most."),
    415: ("unsupported_media_type", "Expected a body of the type application/json."),
    500: ("error", CRASHED),
    # Said by nginx alone.
    503: ("server_unavailable", "The web server does not answer. Please come again in a while."),
}


def register(app: Flask) -> None:
    """Have errors under /api, and those of websockets' handshakes, answered so."""
    app.before_request(_exact)
    # Whoever asks for a websocket cannot be led to a page.
    answered_by(app, lambda path: path.startswith(PREFIX) or handover.asked(request.environ), of)


def answered_by(app: Flask, meant: Callable[[str], bool], answer: Callable[[Any], Any]) -> None:
    """Have errors at the paths that are `meant` answered so; others stay with the handlers that `app` has before."""
    handlers = app.error_handler_spec[None][None]
    for kind, before in list(handlers.items()):
        handlers[kind] = _by_path(before, meant, answer)


def _exact() -> None:
    """What is nearly an address, such as one with two slashes, is none for a program."""
    if request.path.startswith(PREFIX) and isinstance(request.routing_exception, RequestRedirect):
        raise NotFound


def _by_path(
    before: Callable[[Any], Any], meant: Callable[[str], bool], answer: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    def handle(error: Any) -> Any:
        return answer(error) if meant(request.path) else before(error)

    return handle


def of(error: Exception) -> Response | HTTPException:
    """An error as a problem document."""
    if isinstance(error, RealtimeError):
        return _own(error)
    if not isinstance(error, HTTPException):
        current_app.logger.exception("a call failed: %s", request.endpoint)
        return answer(500, "error", CRASHED)
    status = error.code or int(HTTPStatus.INTERNAL_SERVER_ERROR)
    if status < HTTPStatus.BAD_REQUEST:
        return error
    code, text = REFUSED.get(status, ("error", error.description or error.name))
    made = answer(status, code, text)
    for name in ("Allow", "Retry-After"):
        value = error.get_response().headers.get(name)
        if value:
            made.headers[name] = value
    return made


def _own(error: RealtimeError) -> Response:
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.logger.error("%s: %s", error.code, error)
    told = error.as_dict()
    made = answer(error.http_status, told.pop("code"), told.pop("message"), **told)
    if isinstance(error, LoginRequired):
        made.headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, TooMany):
        made.headers["Retry-After"] = str(error.retry_after)
    elif error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        made.headers["Retry-After"] = str(RETRY_SECONDS)
    return made


def answer(status: int, code: str, text: str, **more: Any) -> Response:
    """A problem document: `code` is one of docs/errors.md or docs/api.md, `text` is for people."""
    document = {
        "type": f"{request.script_root}{MANUAL}#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": text,
        "code": code,
        **more,
    }
    return Response(msgspec.json.encode(document), status, content_type=TYPE)
