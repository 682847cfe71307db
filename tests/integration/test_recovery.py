"""What survives: the store or the server killed in mid-run, the store out of reach."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.killable import Valkey
from tests.oracle import numbers
from tests.serving import running_server


@pytest.mark.parametrize("pause", [0.0, 1.0])
def test_a_killed_store_loses_no_line(
    valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path, pause: float
) -> None:
    """The store is killed in mid-run and comes back: the page and the download have every byte once, in order."""
    with running_server(tmp_path / "log", **store_settings) as server:
        person = server.log_in()
        page = server.page(person)
        run = page.start("lines", count=400, pause=0.01)
        # The login and the run are there to stay; what may be forgotten is output.
        valkey.settle()
        page.wait_for_text(run, "50\n")
        valkey.kill(settled=False)
        time.sleep(pause)
        valkey.start()
        assert page.wait_for_end(run)["status"] == "succeeded"
        assert page.text(run) == numbers(400)
        assert page.gaps == []
        assert server.output(person, run) == numbers(400).encode()
        page.close()


def test_stop_works_while_the_store_is_away(valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path) -> None:
    """Without the store a run of this server is stopped all the same, Start is refused with a reason, and all heals."""
    with running_server(tmp_path / "log", **store_settings) as server:
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
