"""A program at the door for JSON-RPC, with a token or with a person's cookies."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.api import Api
from tests.serving import Server
from tests.waiting import wait_until

ECHO = '{"jsonrpc": "2.0", "id": "ID1", "method": "echo", "params": ["text"]}'
NewToken = Callable[..., str]


class Rpc:
    """Calls of one program; `url` is the server's address."""

    def __init__(self, url: str, token: str = "", person: requests.Session | None = None) -> None:
        self.url, self.http = f"{url}/rpc", person or requests.Session()
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._numbers = itertools.count(1)

    def send(self, body: bytes | str, kind: str = "application/json-rpc", **options: Any) -> requests.Response:
        """The answer to a body of any kind."""
        headers = {"Content-Type": kind, **self.headers, **options.pop("headers", {})}
        data = body.encode() if isinstance(body, str) else body
        return self.http.post(self.url, data=data, headers=headers, timeout=30, **options)

    def ask(self, method: str, /, *args: Any, **named: Any) -> dict[str, Any]:
        """A call's whole answer."""
        number = next(self._numbers)
        call = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(args) or named}
        answer = self.send(json.dumps(call))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert (found["jsonrpc"], found["id"]) == ("2.0", number)
        assert ("result" in found) != ("error" in found), found
        assert "Traceback" not in answer.text
        return found

    def call(self, method: str, /, *args: Any, **named: Any) -> Any:
        """A call's result."""
        found = self.ask(method, *args, **named)
        assert "result" in found, found
        return found["result"]

    def wrong(self, number: int, code: str, method: str, /, *args: Any, **named: Any) -> dict[str, Any]:
        """The error of a call that is refused."""
        error: dict[str, Any] = self.ask(method, *args, **named)["error"]
        assert (error["code"], error["data"]["code"]) == (number, code), error
        assert error["message"]
        assert error["data"]["message"]
        return error


@pytest.fixture
def rpc(server: Server, api: Api) -> Rpc:
    """A program with a token with all scopes."""
    return Rpc(server.url, api.token)


def finish(rpc: Rpc, run: str) -> dict[str, Any]:
    """Wait for a run's end; its record."""
    wait_until(lambda: rpc.call("runs.status", run)["ended"], f"run {run} does not end", seconds=60, pause=0.1)
    record: dict[str, Any] = rpc.call("runs.status", run=run)
    return record
