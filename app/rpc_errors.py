"""Errors as JSON-RPC numbers them: the specification's own five, and one for each code of the tree; docs/rpc.md."""

from __future__ import annotations

from typing import Any

from jsonrpc import JSONRPCError

from app import errors
from app.errors import RealtimeError, TooMany

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
# The specification's messages, and the codes that programs get in `data`.
OWN: dict[int, tuple[str, str]] = {
    PARSE_ERROR: ("Parse error", "parse_error"),
    INVALID_REQUEST: ("Invalid Request", "invalid_request"),
    METHOD_NOT_FOUND: ("Method not found", "method_not_found"),
    INVALID_PARAMS: ("Invalid params", errors.BadRequest.code),
    INTERNAL_ERROR: ("Internal error", RealtimeError.code),
}
NUMBERS: dict[type[RealtimeError], int] = {
    errors.BadRequest: INVALID_PARAMS,
    errors.InvalidParameters: INVALID_PARAMS,
    errors.LoginRequired: -32001,
    errors.LoginAgain: -32002,
    errors.Forbidden: -32003,
    errors.NotFound: -32004,
    errors.JobBroken: -32005,
    errors.KeyReused: -32006,
    errors.TooMany: -32007,
    errors.NotWaiting: -32008,
    errors.SandboxRefused: -32009,
    errors.ServerStopping: -32010,
    errors.ServerFull: -32011,
    errors.StoreUnavailable: -32012,
    errors.BrokerUnavailable: -32013,
    errors.WorkerUnavailable: -32014,
    errors.ProviderUnavailable: -32015,
    errors.Fenced: -32016,
}


def refusal(error: RealtimeError) -> JSONRPCError:
    """An error of the tree as JSON-RPC has it; `data` has its `code` and `message`, and what else it tells."""
    told = error.as_dict()
    if isinstance(error, TooMany):
        told["retry_after"] = error.retry_after
    return JSONRPCError(str(error), NUMBERS.get(type(error), INTERNAL_ERROR), told)


def worded(error: dict[str, Any]) -> dict[str, Any]:
    """An error object with the specification's message, where the number is its own; what was said is in `data`."""
    message, code = OWN.get(error["code"], (error["message"], ""))
    return {**error, "message": message, "data": {"code": code, "message": error["message"], **error.get("data", {})}}


def body(number: int, code: str, text: str) -> dict[str, Any]:
    """The answer to what is no request yet."""
    error = worded({"code": number, "message": text, "data": {"code": code}})
    return {"jsonrpc": "2.0", "id": None, "error": error}
