"""The door for JSON-RPC 2.0: POST /rpc; docs/rpc.md."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

import msgspec
from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from app import bodies, callers, problems, rpc_errors
from app.errors import LoginRequired, RealtimeError
from app.rpc_methods import Caller
from app.rpc_protocol import CRASHED, Protocol
from app.tasks import Tasks
from app.views import console

bp = Blueprint("rpc", __name__)
PATH = "/rpc"
TYPES = ("application/json", "application/json-rpc")
# What HTTP itself refuses: the code, and a sentence that says what to do.
REFUSED = {
    **problems.REFUSED,
    404: ("not_found", "There is no such address: calls go to /rpc."),
    405: ("method_not_allowed", "Calls come by POST."),
    415: ("unsupported_media_type", "Expected application/json-rpc or application/json, in UTF-8."),
}


def register(app: Flask) -> None:
    """Give `app` the door; needs the extensions console, tasks, settings, stack, credentials, grants."""
    app.extensions["rpc"] = Protocol()
    app.register_blueprint(bp)
    problems.answered_by(app, lambda path: path == PATH or path.startswith(f"{PATH}/"), _refuse)


@bp.post(PATH)
def call() -> Response:
    """Answer a call, or a batch of calls."""
    data = bodies.read(*TYPES)
    caller = Caller(
        g.user,
        console(),
        cast(Tasks, current_app.extensions["tasks"]),
        callers.require,
        callers.require_access,
    )
    answer = cast(Protocol, current_app.extensions["rpc"]).handle(data, caller)
    if answer is None:
        return Response(status=HTTPStatus.NO_CONTENT)
    return Response(answer, content_type=request.mimetype)


def _refuse(error: Exception) -> Response | HTTPException:
    """An error before any call, as an answer to nobody's."""
    if isinstance(error, RealtimeError):
        told = error.as_dict()
        if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            current_app.logger.error("%s: %s", error.code, error)
        number = rpc_errors.NUMBERS.get(type(error), rpc_errors.INTERNAL_ERROR)
        made = _answer(error.http_status, number, told["code"], told["message"])
        if isinstance(error, LoginRequired):
            made.headers["WWW-Authenticate"] = problems.CHALLENGE
        if error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
            made.headers["Retry-After"] = str(problems.RETRY_SECONDS)
        return made
    if not isinstance(error, HTTPException):
        current_app.logger.exception("a call failed: %s", request.endpoint)
        return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, rpc_errors.INTERNAL_ERROR, RealtimeError.code, CRASHED)
    status = error.code or int(HTTPStatus.INTERNAL_SERVER_ERROR)
    if status < HTTPStatus.BAD_REQUEST:
        return error
    code, text = REFUSED.get(status, ("error", error.description or error.name))
    made = _answer(status, rpc_errors.INVALID_REQUEST, code, text)
    allowed = error.get_response().headers.get("Allow")
    if allowed:
        made.headers["Allow"] = allowed
    return made


def _answer(status: int, number: int, code: str, text: str) -> Response:
    return Response(msgspec.json.encode(rpc_errors.body(number, code, text)), status, content_type="application/json")
