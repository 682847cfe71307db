"""Every door has a row in the table of rights, and a door without one stays shut."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.errors import LoginRequired, NotFound
from app.model import Run, Status, User
from app.rights import DOORS, RULES, Action, require
from app.rpc_methods import Caller
from app.rpc_protocol import Protocol

ROOT = Path(__file__).parents[2]
CODE = """
import json, os, sys
from pathlib import Path
from app.config import load_settings
from app.factory import create_app
from app.rights import DOORS
from app.sockets import door_of
url, folder, shut = sys.argv[1:]
DOORS.pop(shut, None)
app = create_app(load_settings(None, redis_url=url, client_id="c", client_secret="s", key_dir=Path(folder),
                               async_stack="threading"))
handlers = app.extensions["socketio"].server.handlers
answer = {
    "doors": ["http:" + rule.endpoint for rule in app.url_map.iter_rules()]
    + [door_of(namespace, event) for namespace, events in handlers.items() for event in events]
    + ["rpc:" + method for method in app.extensions["rpc"].get_root_group().list_methods(recursive=True)],
    "status": app.test_client().get("/jobs/count").status_code,
}
sys.__stdout__.write(json.dumps(answer) + "\\n")
sys.__stdout__.flush()
os._exit(0)
"""


def _app(valkey_url: str, folder: Path, shut: str = "") -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-c", CODE, valkey_url, str(folder), shut]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_every_door_has_a_row_and_every_row_a_door(valkey_url: str, tmp_path: Path) -> None:
    """Each address, event and JSON-RPC method of the running application is in the table, and nothing else is."""
    assert set(_app(valkey_url, tmp_path)["doors"]) == set(DOORS)


def test_a_door_without_a_row_stays_shut(valkey_url: str, tmp_path: Path) -> None:
    """Without its row a page does not answer, not even by asking for a login."""
    assert _app(valkey_url, tmp_path)["status"] == 302
    assert _app(valkey_url, tmp_path, "http:views.job")["status"] == 404


def test_a_method_without_a_row_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its row a method of JSON-RPC answers like one that does not exist."""
    monkeypatch.delitem(DOORS, "rpc:echo")
    nobody: Any = None
    caller = Caller(nobody, nobody, nobody, lambda _: ANN, lambda _: None)
    answers = []
    for method in ("echo", "none"):
        said = Protocol().handle(f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":["x"]}}', caller) or ""
        answers.append(json.loads(said)["error"])
    assert answers[0]["code"] == answers[1]["code"] == -32601


def test_every_action_has_a_rule() -> None:
    """No action can be asked for that the table does not decide."""
    assert set(RULES) == set(Action)
    assert set(DOORS.values()) <= set(Action)


ANN, BOB = User("ann", "Ann", ""), User("bob", "Bob", "")
RUN = Run("r", "job", "Job", ANN, Status.RUNNING, 0.0, "thread")


@pytest.mark.parametrize("action", [Action.WATCH, Action.STOP, Action.DOWNLOAD])
def test_runs_belong_to_who_started_them(action: Action) -> None:
    """The owner may; another user is told that there is no such run; nobody is asked to log in."""
    assert require(ANN, action, RUN) is ANN
    with pytest.raises(NotFound, match="no such run"):
        require(BOB, action, RUN)
    with pytest.raises(LoginRequired):
        require(None, action, RUN)
