"""Who may run typed code, and that it is refused where it cannot be isolated as the settings ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.config import load_settings
from app.errors import Forbidden
from app.model import User
from app.store.runs import Runs
from app.typed import Typed
from tests.integration.simulator_fixture import Simulator
from tests.server_fixture import settings_for
from tests.serving import Server, running_server
from tests.waiting import wait_until

START = {"job": "code", "params": {"source": "1"}}


@pytest.fixture(scope="module")
def weak(_shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose runner isolates less than it should, and where one person may type code."""
    folder = tmp_path_factory.mktemp("weak")
    settings = settings_for(Path("-"), _shared_simulator, folder)
    del settings["REDIS_URL"]
    settings |= {"DATA_DIR": str(folder / "data"), "LOG_FORMAT": "json", "SANDBOX": "limits"}
    settings["CODE_USERS"] = "Somebody@else.example, USER2@example.com"
    with running_server(folder / "log", **settings) as server:
        yield server


def test_who_is_not_named_may_not_type_code(weak: Server) -> None:
    """Start is refused with a sentence that says what allows it; so is the page; the audit record has it."""
    person = weak.log_in(0)
    page = weak.page(person)
    answer = page.call("start_request", START)
    page.close()
    assert answer["error"]["code"] == "forbidden"
    assert "CODE_USERS" in answer["error"]["message"]
    assert person.get(f"{weak.url}/code", timeout=20).status_code == 403
    wait_until(lambda: '"reason": "code_not_allowed"' in weak.log.read_text())


def test_code_is_refused_below_the_minimum(weak: Server) -> None:
    """Start says which level there is and which is asked for; the page and the log say so, too; other jobs run."""
    person = weak.log_in(1)
    page = weak.page(person)
    # The web server may have asked before the runner was there.
    wait_until(lambda: page.call("start_request", START).get("error", {}).get("code") == "sandbox_refused")
    message = page.call("start_request", START)["error"]["message"]
    assert "`limits`" in message
    assert "SANDBOX_MINIMUM asks for `landlock`" in message
    shown = person.get(f"{weak.url}/code", timeout=20)
    assert shown.ok
    assert "SANDBOX_MINIMUM" in shown.text
    assert "level `limits` is reached" in weak.log.read_text()
    assert page.wait_for_end(page.start("lines", count=1))["status"] == "succeeded"
    page.close()


@pytest.fixture
def runs(redis_client: redis.Redis) -> Runs:
    """Runs in an empty store."""
    return Runs(redis_client)


@pytest.mark.parametrize(
    ("users", "email", "allowed"),
    [
        ("", "a@b.example", False),
        ("*", "a@b.example", True),
        ("*", "", True),
        ("nobody", "a@b.example", False),
        ("A@b.example,c@d.example", "a@B.example", True),
        ("a@b.example", "xa@b.example", False),
        ("a@b.example", "", False),
        (",", "", False),
    ],
)
def test_code_users_names_people(runs: Runs, users: str, email: str, allowed: bool) -> None:
    """Whole addresses, in any case; nobody by default; a star is everybody."""
    typed = Typed(load_settings(None, code_users=users), runs)
    user = User("id", "A name", email)
    assert typed.allowed(user) is allowed
    if allowed:
        typed.require(user)
    else:
        with pytest.raises(Forbidden):
            typed.require(user)


def test_the_weakest_runner_counts(runs: Runs) -> None:
    """Any of them may take the run; while none is up there is no level, and nothing is refused for that."""
    assert Typed(load_settings(None), runs).level == ""
    assert Typed(load_settings(None), runs).refusal == ""
    runs.present("process", "one", "full")
    assert Typed(load_settings(None), runs).level == "full"
    runs.present("process", "two", "limits")
    runs.present("process", "old", "what is this")
    typed = Typed(load_settings(None), runs)
    assert typed.level == "limits"
    assert "folder of its own" in typed.sentence
    assert "landlock" in typed.refusal
    assert Typed(load_settings(None, sandbox_minimum="limits"), runs).refusal == ""
