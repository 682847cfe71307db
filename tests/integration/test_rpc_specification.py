"""JSON-RPC 2.0 as its specification has it: its own examples, with its own methods, and what it says besides."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from jsonrpc import Method

from app import rpc_methods, rpc_protocol
from app.rights import DOORS, Action


@dataclass(frozen=True)
class Two:
    """Two numbers."""

    minuend: int
    subtrahend: int


@dataclass(frozen=True)
class Five:
    """Up to five numbers."""

    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    e: int = 0


class Subtract(Method):
    """The examples' `subtract`."""

    def execute(self, params: Two) -> int:
        """The difference."""
        return params.minuend - params.subtrahend


class Sum(Method):
    """The examples' `sum`, `update`, `notify_hello` and `notify_sum`."""

    def execute(self, params: Five) -> int:
        """The sum."""
        return params.a + params.b + params.c + params.d + params.e


class GetData(Method):
    """The examples' `get_data`."""

    def execute(self, params: None) -> list[Any]:
        """What the examples have."""
        return ["hello", 5]


class Crash(Method):
    """A method with a fault."""

    def execute(self, params: None) -> None:
        """Fail, with a secret in the error's text."""
        raise KeyError("a secret")


METHODS = {"subtract": Subtract, "sum": Sum, "get_data": GetData, "crash": Crash}
METHODS |= dict.fromkeys(("update", "notify_hello", "notify_sum"), Sum)


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> rpc_protocol.Protocol:
    """The product's protocol, with the examples' methods."""
    monkeypatch.setattr(rpc_protocol, "methods", lambda: {name: method() for name, method in METHODS.items()})
    for name in METHODS:
        monkeypatch.setitem(DOORS, f"rpc:{name}", Action.CALL)
    return rpc_protocol.Protocol()


def answer(protocol: rpc_protocol.Protocol, text: str) -> Any:
    """The answer, without what an error tells besides number and message; None where there is none."""
    nobody: Any = None
    caller = rpc_methods.Caller(nobody, nobody, nobody, lambda _: nobody, lambda _: nobody)
    said = protocol.handle(text, caller)
    if said is None:
        return None
    found = json.loads(said)
    for each in found if isinstance(found, list) else [found]:
        if "error" in each:
            assert set(each["error"].pop("data")) >= {"code", "message"}
    return found


def error(number: int, message: str, id_: object = None) -> dict[str, Any]:
    """An answer with an error."""
    return {"jsonrpc": "2.0", "error": {"code": number, "message": message}, "id": id_}


def result(value: object, id_: object) -> dict[str, Any]:
    """An answer with a result."""
    return {"jsonrpc": "2.0", "result": value, "id": id_}


INVALID = error(-32600, "Invalid Request")
# Section 7 of the specification, in its order.
EXAMPLES: dict[str, tuple[str, Any]] = {
    "positional": ('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', result(19, 1)),
    "positional, the other way": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        result(-19, 2),
    ),
    "named": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        result(19, 3),
    ),
    "named, the other way": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        result(19, 4),
    ),
    "a notification": ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    "a notification of nothing": ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    "a method that is none": (
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        error(-32601, "Method not found", "1"),
    ),
    "broken JSON": (
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        error(-32700, "Parse error"),
    ),
    "no request": ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID),
    "a broken batch": (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method" ]',
        error(-32700, "Parse error"),
    ),
    "an empty batch": ("[]", INVALID),
    "a batch of one that is none": ("[1]", [INVALID]),
    "a batch of three that are none": ("[1,2,3]", [INVALID] * 3),
    "a batch": (
        """[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]""",
        [
            result(7, "1"),
            result(19, "2"),
            INVALID,
            error(-32601, "Method not found", "5"),
            result(["hello", 5], "9"),
        ],
    ),
    "a batch of notifications": (
        """[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]""",
        None,
    ),
}
CASES: dict[str, tuple[str, Any]] = {
    "a null id is an id": ('{"jsonrpc": "2.0", "method": "get_data", "id": null}', result(["hello", 5], None)),
    "an empty id is an id": ('{"jsonrpc": "2.0", "method": "get_data", "id": ""}', result(["hello", 5], "")),
    "a huge id": (f'{{"jsonrpc": "2.0", "method": "get_data", "id": {10**40}}}', result(["hello", 5], 10**40)),
    "an object for an id": ('{"jsonrpc": "2.0", "method": "get_data", "id": {}}', INVALID),
    "true for an id": ('{"jsonrpc": "2.0", "method": "get_data", "id": true}', INVALID),
    "empty parameters": ('{"jsonrpc": "2.0", "method": "get_data", "params": {}, "id": 1}', result(["hello", 5], 1)),
    "parameters that are none": ('{"jsonrpc": "2.0", "method": "sum", "params": "bar", "id": 1}', INVALID | {"id": 1}),
    "no version": ('{"method": "get_data", "id": 1}', INVALID | {"id": 1}),
    "version 1": ('{"jsonrpc": "1.0", "method": "get_data", "id": 1}', INVALID | {"id": 1}),
    "version 2 as a number": ('{"jsonrpc": 2.0, "method": "get_data", "id": 1}', INVALID | {"id": 1}),
    "no version in a batch": ('[{"method": "get_data", "id": 1}]', [INVALID | {"id": 1}]),
    "no method": ('{"jsonrpc": "2.0", "id": 1}', INVALID | {"id": 1}),
    "a parameter too few": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [1], "id": 1}',
        error(-32602, "Invalid params", 1),
    ),
    "a parameter too many": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [1, 2, 3], "id": 1}',
        error(-32602, "Invalid params", 1),
    ),
    "a parameter of another type": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": ["1", 2], "id": 1}',
        error(-32602, "Invalid params", 1),
    ),
    "a parameter of another name": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 1, "x": 2}, "id": 1}',
        error(-32602, "Invalid params", 1),
    ),
    "a crash": ('{"jsonrpc": "2.0", "method": "crash", "id": 1}', error(-32603, "Internal error", 1)),
    "a crash that nobody waits for": ('{"jsonrpc": "2.0", "method": "crash"}', None),
    "a method's inside": ('{"jsonrpc": "2.0", "method": "__class__", "id": 1}', error(-32601, "Method not found", 1)),
    "a text": ('"get_data"', INVALID),
    "a request in a text": (json.dumps('{"jsonrpc": "2.0", "method": "get_data", "id": 1}'), INVALID),
    "nothing": ("", error(-32700, "Parse error")),
    "null": ("null", INVALID),
    "a batch in a batch": ("[[]]", [INVALID]),
    "a number that JSON has not": ('{"jsonrpc": "2.0", "id": NaN}', error(-32700, "Parse error")),
    "half a character": ('{"jsonrpc": "2.0", "method": "\\ud800", "id": 1}', error(-32700, "Parse error")),
    "very deep": ("[" * 200_000, error(-32700, "Parse error")),
    "a batch that is too large": (
        json.dumps([{"jsonrpc": "2.0", "method": "get_data", "id": 1}] * (rpc_protocol.MOST_CALLS + 1)),
        INVALID,
    ),
}


@pytest.mark.parametrize(("text", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_the_specifications_examples(protocol: rpc_protocol.Protocol, text: str, expected: Any) -> None:
    """Each is answered as the specification answers it."""
    assert answer(protocol, text) == expected


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_what_it_says_besides(protocol: rpc_protocol.Protocol, text: str, expected: Any) -> None:
    """Ids, versions, parameters, and what is no request."""
    assert answer(protocol, text) == expected


def test_a_crash_tells_the_log_and_nobody_else(
    protocol: rpc_protocol.Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    """The error has a sentence, the log the traceback; what was sent is in neither."""
    caller: Any = rpc_methods.Caller(*[lambda *_: None] * 5)  # type: ignore[arg-type]
    said = protocol.handle('{"jsonrpc": "2.0", "method": "crash", "id": "not to be logged"}', caller)
    assert said is not None
    assert "secret" not in said
    assert "its log has the details" in said
    assert "a secret" in caplog.text
    assert "not to be logged" not in caplog.text
