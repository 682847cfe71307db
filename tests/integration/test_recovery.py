"""What survives: the store or the server killed in mid-run, the store out of reach."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.simulator_fixture import Simulator
from tests.killable import Valkey
from tests.processes import processes_of
from tests.server_fixture import settings_for
from tests.serving import Server, running_server


@pytest.fixture
def settings(valkey: Valkey, _shared_simulator: Simulator, tmp_path: Path) -> dict[str, Any]:
    """A server's settings with that store."""
    return settings_for(valkey.socket, _shared_simulator, tmp_path)


def _numbers(count: int) -> str:
    return "".join(f"{number}\n" for number in range(count))


@pytest.mark.parametrize("pause", [0.0, 1.0])
def test_a_killed_store_loses_no_line(valkey: Valkey, settings: dict[str, Any], tmp_path: Path, pause: float) -> None:
    """The store is killed in mid-run and comes back: the page and the download have every byte once, in order."""
    with running_server(tmp_path / "log", **settings) as server:
        person = server.log_in()
        page = server.page(person)
        run = page.start("lines", count=400, pause=0.01)
        page.wait_for_text(run, "50\n")
        valkey.kill()
        time.sleep(pause)
        valkey.start()
        assert page.wait_for_end(run)["status"] == "succeeded"
        assert page.text(run) == _numbers(400)
        assert page.gaps == []
        assert server.output(person, run) == _numbers(400).encode()
        page.close()


def test_stop_works_while_the_store_is_away(valkey: Valkey, settings: dict[str, Any], tmp_path: Path) -> None:
    """Without the store a run of this server is stopped all the same, Start is refused with a reason, and all heals."""
    with running_server(tmp_path / "log", **settings) as server:
        page = server.page(server.log_in())
        run = page.start("heartbeat", file=str(tmp_path / "beats"))
        page.wait_for_text(run, "beat 5\n")
        valkey.kill()
        assert page.call("start_request", {"job": "silent"})["error"]["code"] == "store_unavailable"
        answer = page.call("stop_request", {"run": run})
        assert answer["ok"], answer
        assert answer["run"]["status"] == "stopping"
        time.sleep(0.3)
        beats = (tmp_path / "beats").read_text()
        time.sleep(0.3)
        assert (tmp_path / "beats").read_text() == beats
        valkey.start()
        assert page.wait_for_end(run)["status"] == "stopped"
        assert page.text(run) == beats
        assert page.gaps == []
        page.close()


def test_runs_of_a_killed_server_become_lost(start_server: Callable[..., Server]) -> None:
    """A server is killed with a run under way: within 30 s another one calls the run lost, and keeps its output."""
    first = start_server()
    page = first.page(first.log_in())
    run = page.start("lines", count=100_000, pause=0.01)
    page.wait_for_text(run, "20\n")
    for process in processes_of(first.process.pid):
        os.kill(process, signal.SIGKILL)
    first.process.wait(10)
    before = page.text(run)
    second = start_server()
    person = second.log_in()
    again = second.page(person)
    again.watch(run)
    assert again.wait_for_end(run, 30)["status"] == "lost"
    assert again.text(run).startswith(before)
    assert second.output(person, run).decode() == again.text(run)
    again.close()
