"""JSON-RPC 2.0 as its specification has it, by python-jsonrpc-lib: docs/adr/0027-json-rpc-and-cors.md."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from jsonrpc import JSONRPC, CallInfo, InternalError, JSONRPCError, MethodGroup, MethodNotFoundError

from app import audit, rights
from app.errors import RealtimeError
from app.rpc_errors import refusal, worded
from app.rpc_methods import Caller, methods

logger = logging.getLogger(__name__)

MOST_CALLS = 50
CRASHED = "Something went wrong on this server; its log has the details."
# It would write a traceback for each notification that is refused, with which anybody could fill the log.
logging.getLogger("jsonrpc-lib").addFilter(lambda record: not str(record.msg).startswith("Notification failed"))


class Doors(MethodGroup):
    """What all calls pass: the row of their method, and the errors of the tree."""

    def around_call(self, call: CallInfo, context: Caller, call_next: Callable[[Any], Any]) -> Any:
        """As MethodGroup.around_call."""
        door = f"rpc:{call.path}"
        audit.enter(door)
        action = rights.action_of(door)
        if action is None:
            audit.denied("no_row")
            raise MethodNotFoundError
        try:
            context.require(action)
            return call_next(context)
        except RealtimeError as error:
            raise refusal(error) from None
        except JSONRPCError:
            raise
        except Exception:
            # What was sent is in no record: it may be somebody's secret.
            logger.exception("a call failed: %s", call.path)
            raise InternalError(CRASHED) from None


class Protocol(JSONRPC):
    """All methods, for texts of up to a batch of MOST_CALLS calls."""

    def __init__(self) -> None:
        super().__init__(max_batch=MOST_CALLS, max_request_size=-1)
        doors, groups = Doors(), dict[str, MethodGroup]()
        for name, method in methods().items():
            group, _, own = name.rpartition(".")
            (groups.setdefault(group, MethodGroup()) if group else doors).register(own, method)
        for group, members in groups.items():
            doors.register(group, members)
        self.register(None, doors)

    def deserialize(self, data: str | bytes) -> Any:
        """As JSONRPC.deserialize.

        Raises: ValueError, RecursionError.
        """
        found = msgspec.json.decode(data)
        if isinstance(found, dict):
            # Without a version it would pass for one of JSON-RPC 1.0.
            found.setdefault("jsonrpc", None)
        return found

    def serialize(self, data: Any, **_: Any) -> str:
        """As JSONRPC.serialize, with the specification's words."""
        for answer in data if isinstance(data, list) else [data]:
            if "error" in answer:
                answer["error"] = worded(answer["error"])
        return super().serialize(data)
