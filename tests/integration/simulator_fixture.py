"""The Webex stand-in as a real process on a free port, and a client of its control door."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[2]
READY = "Webex stand-in ready at "


class Simulator:
    """A running stand-in; `url` is its API's address, as PROVIDER_URL wants it."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url, self.process = url, process
        self._control = url.removesuffix("/v1") + "/_control"

    def _ask(self, method: str, door: str = "", /, **fields: Any) -> dict[str, Any]:
        answer = requests.request(method, self._control + door, json=fields, timeout=10)
        assert answer.ok, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def reset(self) -> None:
        """Forget all tokens, faults, counts and changed knobs."""
        self._ask("DELETE")

    def fault(self, path: str = "/", **fault: Any) -> None:
        """Order a fault: `status`, `times`, `delay`, `retry_after`, `body`, `content_type`, `cut`."""
        self._ask("POST", "/faults", path=path, **fault)

    def clear_faults(self) -> None:
        """Order no faults any more."""
        self._ask("DELETE", "/faults")

    def turn(self, **knobs: Any) -> None:
        """Change knobs, such as `token_lifetime=1` or `rotate=False`."""
        self._ask("PATCH", "/knobs", **knobs)

    def expire(self, kind: str = "access") -> None:
        """End all tokens of a kind: `access` or `refresh`."""
        self._ask("POST", "/expire", kind=kind)

    def new_tokens(self, user: int = 0, client_id: str = "control") -> dict[str, str]:
        """`access_token` and `refresh_token` of a user, made without the login page."""
        return self._ask("POST", "/tokens", user=user, client_id=client_id)

    def token(self, user: int = 0) -> str:
        """A fresh access token of a user."""
        return self.new_tokens(user)["access_token"]

    def count(self, what: str) -> int:
        """How often a path (`/rooms`) was asked for, or a grant (`grant:refresh_token`) came."""
        counted: int = self._ask("GET")["counts"].get(what, 0)
        return counted

    def tokens(self, kind: str = "access") -> list[str]:
        """All valid tokens of a kind, oldest first."""
        shown: list[str] = self._ask("GET")["tokens"][kind]
        return shown

    def people(self) -> list[dict[str, Any]]:
        """The records of all who can log in."""
        shown: list[dict[str, Any]] = self._ask("GET")["people"]
        return shown

    def answer(self, authorize_url: str, user: int = 0, decision: str = "allow") -> str:
        """Answer the authorize page as its visitor would; the address that it sends the browser to."""
        form = {"user": self.people()[user]["emails"][0], "decision": decision}
        answer = requests.post(authorize_url, data=form, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]


@contextmanager
def running_simulator(*options: str) -> Iterator[Simulator]:
    """A stand-in with these options of its command line, ended at the end."""
    command = [sys.executable, "-m", "simulator", "--port", "0", "--control", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(READY), line
            yield Simulator(line.removeprefix(READY).strip(), process)
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture
def start_simulator() -> Iterator[Callable[..., Simulator]]:
    """A function that starts a stand-in with options, such as `start_simulator("--spaces", "3")`."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(running_simulator(*options))


@pytest.fixture(scope="session")
def _shared_simulator() -> Iterator[Simulator]:
    with running_simulator("--spaces", "7", "--messages", "120") as simulator:
        yield simulator


@pytest.fixture
def simulator(_shared_simulator: Simulator) -> Iterator[Simulator]:
    """A small stand-in as if freshly started: two users, seven spaces, at most 120 messages in each."""
    _shared_simulator.reset()
    yield _shared_simulator
    # Others use it without this fixture.
    _shared_simulator.reset()
