"""A visitor's browser without scripts, step by step: it keeps cookies and follows no redirect by itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.integration.simulator_fixture import Simulator
from tests.serving import Server


class Visitor(requests.Session):
    """Somebody at the product's address `url`, who logs in at the stand-in."""

    def __init__(self, url: str, simulator: Simulator) -> None:
        super().__init__()
        self.home, self.simulator = url, simulator

    def ask(self, address: str, **options: Any) -> requests.Response:
        """GET a path, or a whole address."""
        url = address if address.startswith("http") else self.home + address
        return self.get(url, **{"timeout": 20, "allow_redirects": False, **options})

    def begin(self, path: str = "/") -> str:
        """Ask for a page without a login; the provider's address that the answer leads to."""
        answer = self.ask(path)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def allow(self, authorize_url: str, user: int = 0, decision: str = "allow") -> str:
        """Answer the provider; the address that it sends the browser to."""
        return self.simulator.answer(authorize_url, user, decision)

    def log_in(self, user: int = 0, path: str = "/") -> requests.Response:
        """The whole login; the answer to the provider's redirect."""
        answer = self.ask(self.allow(self.begin(path), user))
        assert answer.status_code == 302, answer.text
        return answer

    @property
    def session_id(self) -> str:
        """The cookie of the session."""
        return self.cookies.get("frt_session") or ""

    def logged_in(self) -> bool:
        """Whether a page greets the visitor."""
        return "Authenticated as" in self.ask("/").text


def query(url: str) -> dict[str, str]:
    """The query of an address; each name comes once."""
    found = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}


@pytest.fixture
def visitor(server: Server, simulator: Simulator, valkey_url: str) -> Visitor:
    """Somebody new, whom the emptied store knows nothing of."""
    return Visitor(server.url, simulator)


@pytest.fixture
def second(server: Server, simulator: Simulator) -> Visitor:
    """Another browser."""
    return Visitor(server.url, simulator)


def decent(answer: requests.Response, status: int) -> None:
    """An error page for people: a sentence, a way on, the headers of every page, and nothing of our insides."""
    assert answer.status_code == status, answer.text
    assert "Log in again" in answer.text
    assert 'href="/login?next=' in answer.text
    assert "Traceback" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
