"""Process runs under faults: whoever watches over them, serves or stores them is killed, or told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.child import lineage
from tests.killable import Valkey
from tests.serving import ROOT, Page, Server, running_server
from tests.waiting import wait_until
from tests.watcher import Watcher

CONTRACT = str(Path(__file__).parents[1] / "jobs" / "contract")
LOST_SECONDS = 30


@pytest.fixture
def settings(store_settings: dict[str, Any]) -> dict[str, Any]:
    """Those of a server with a store of its own, the contract's jobs, and short stages of Stop."""
    return {**store_settings, "STAGE_SECONDS": "4", "JOBS": CONTRACT}


@pytest.fixture
def server(settings: dict[str, Any], tmp_path: Path) -> Iterator[Server]:
    """A server with a store and a runner of its own, which a test may kill."""
    with running_server(tmp_path / "log", **settings) as running:
        yield running


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    """A page of somebody who is logged in."""
    opened = server.page(server.log_in())
    yield opened
    opened.close()
    assert opened.gaps == []


def runner_of(server: Server) -> int:
    """The process id of a server's runner."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [process for process, command in server.processes.items() if "app runner" in command]
        return bool(found)

    wait_until(look, "there is a runner")
    return found[0]


def template_of(server: Server) -> int:
    """The template's."""
    return lineage.children_of(runner_of(server))[0]


def living(processes: list[int]) -> list[int]:
    """Those that are no zombies and have not gone."""
    return [each for each in processes if lineage.usage_of([each]).threads and state(each) != "Z"]


def state(process: int) -> str:
    """The letter for what a process does; "" where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_a_killed_web_process_leaves_runs_going(server: Server, watch: Callable[..., Watcher]) -> None:
    """SIGKILL of the web process in mid-run: the run goes on, and whoever watches it has every line once at the end."""
    person = server.log_in()
    page = server.page(person)
    run = page.start("lines_process", count=300, pause=0.02)
    watcher = watch(person, run, server)
    page.wait_for_text(run, "0:0000020\n")
    os.kill(server.worker, signal.SIGKILL)
    page.close()
    watcher.wait_for_end(60)
    expected = "".join(f"0:{number:07d}\n" for number in range(300))
    assert server.output(person, run) == expected.encode()
    assert watcher.text == expected


def test_a_killed_runner_loses_its_runs_and_leaves_nothing(server: Server, page: Page) -> None:
    """SIGKILL: none of its runs' processes lives on, they are lost within 30 s, and the next runner takes runs."""
    runs = [page.start("family_process"), page.start("asleep_process", ignore="terminate")]
    page.wait_for_text(runs[0], "family")
    page.wait_for_text(runs[1], "asleep")
    runner = runner_of(server)
    below = lineage.below(runner)
    assert len(below) >= 9
    os.kill(runner, signal.SIGKILL)
    wait_until(lambda: not living(below), f"{below} have ended", seconds=5)
    began = time.monotonic()
    ends = [page.wait_for_end(run, LOST_SECONDS) for run in runs]
    assert time.monotonic() - began < LOST_SECONDS
    assert [end["status"] for end in ends] == ["lost", "lost"]
    again = page.start("ends_process", how="return")
    assert page.wait_for_end(again)["status"] == "succeeded"


def test_a_killed_warden_is_a_lost_run_that_leaves_nothing(server: Server, page: Page) -> None:
    """Without its warden a run is lost at once; its family ends, those in other sessions too."""
    run = page.start("family_process")
    page.wait_for_text(run, "family")
    warden = lineage.children_of(template_of(server))[0]
    below = lineage.below(warden)
    os.kill(warden, signal.SIGKILL)
    assert page.wait_for_end(run, 10)["status"] == "lost"
    wait_until(lambda: not living(below), f"{below} have ended", seconds=5)


def test_a_killed_template_harms_no_run(server: Server, page: Page) -> None:
    """Runs go on to their ends and obey Stop; the next Start has another template."""
    runs = [page.start("family_process"), page.start("asleep_process", seconds=2)]
    page.wait_for_text(runs[0], "family")
    page.wait_for_text(runs[1], "asleep")
    template = template_of(server)
    below = lineage.below(template)
    os.kill(template, signal.SIGKILL)
    again = page.start("ends_process", how="return")
    assert page.wait_for_end(again)["status"] == "succeeded"
    assert page.wait_for_end(runs[1])["status"] == "succeeded"
    page.call("stop_request", {"run": runs[0]})
    assert page.wait_for_end(runs[0])["status"] == "stopped"
    wait_until(lambda: not living(below), f"{below} have ended", seconds=5)


def test_a_killed_store_loses_no_line(server: Server, page: Page, valkey: Valkey) -> None:
    """The store is killed in mid-run: the job prints on, its output is stored later, and Stop works afterwards."""
    run = page.start("lines_process", count=200, pause=0.02)
    page.wait_for_text(run, "0:0000000\n")
    # The login, the run and that it was taken are there to stay; what may be forgotten is output.
    valkey.settle()
    page.wait_for_text(run, "0:0000020\n")
    valkey.kill(settled=False)
    time.sleep(1)
    valkey.start()
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert page.text(run) == "".join(f"0:{number:07d}\n" for number in range(200))


def test_ctrl_c_stops_process_runs(server: Server, page: Page, valkey: Valkey) -> None:
    """The end of everything gives runs their Stop: one that asks puts its things away; nothing lives after it."""
    runs = [page.start("polite_process"), page.start("asleep_process", ignore="terminate")]
    page.wait_for_text(runs[0], "working")
    page.wait_for_text(runs[1], "asleep")
    below = lineage.below(runner_of(server))
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0
    assert living(below) == []
    assert "Traceback" not in server.log.read_text()
    with valkey.client() as client:
        ends = [client.hmget(f"run:{run}", "status", "message") for run in runs]
    assert ends == [[b"stopped", b"The server was stopped."], [b"killed", b"The server was stopped."]]


def test_a_runner_that_is_told_to_end_drains(
    server: Server, page: Page, settings: dict[str, Any], tmp_path: Path
) -> None:
    """SIGTERM of a runner by itself: it takes no more, lets its runs end, and goes; the others go on taking."""
    os.kill(runner_of(server), signal.SIGSTOP)
    log = (tmp_path / "runner").open("wb")
    command = [sys.executable, "-m", "app", "runner"]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log) as runner:
        run = page.start("lines_process", count=100, pause=0.02)
        page.wait_for_text(run, "0:0000010\n")
        runner.terminate()
        time.sleep(0.2)
        os.kill(runner_of(server), signal.SIGCONT)
        other = page.start("ends_process", how="return")
        assert page.wait_for_end(other)["status"] == "succeeded"
        assert runner.wait(30) == 0
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert page.text(run).count("\n") == 100


def test_stop_races_the_natural_end(page: Page) -> None:
    """Sixty times Stop comes about when a run ends by itself: one status, and both answers make sense."""
    statuses = set()
    for number in range(60):
        run = page.start("lines_process", count=1)
        time.sleep(number % 20 / 1000)
        answer = page.call("stop_request", {"run": run})
        assert answer["ok"], answer
        end = page.wait_for_end(run)
        statuses.add(end["status"])
        assert end["signal"] in ("", "SIGINT"), end
    assert statuses <= {"succeeded", "stopped"}
    assert "stopped" in statuses


def test_a_saved_job_is_live_at_the_next_start(settings: dict[str, Any], tmp_path: Path) -> None:
    """In development the template ends when a file is saved, and the next one has what is new."""
    folder = tmp_path / "own"
    folder.mkdir()
    text = "from app.catalog import job\n\n\n@job(executor='process')\ndef said():\n    print('{}')\n"
    (folder / "mine.py").write_text(text.format("old"))
    with running_server(tmp_path / "log", **{**settings, "JOBS": str(folder)}) as server:
        page = server.page(server.log_in())
        for word in ("old", "new", "newer"):
            (folder / "mine.py").write_text(text.format(word))
            run = page.start("said")
            assert page.wait_for_end(run)["status"] == "succeeded"
            assert page.text(run) == f"{word}\n"
        page.close()


def test_a_full_runner_lets_runs_wait_and_stop_ends_them_there(settings: dict[str, Any], tmp_path: Path) -> None:
    """With room for one run the next waits; Stop of what waits ends it without a start."""
    with running_server(tmp_path / "log", **settings, RUNNER_RUNS="1") as server:
        page = server.page(server.log_in())
        first = page.start("polite_process")
        page.wait_for_text(first, "working")
        second, third = page.start("ends_process", how="return"), page.start("ends_process", how="return")
        page.call("stop_request", {"run": second})
        assert page.wait_for_end(second)["status"] == "stopped"
        assert page.text(second) == ""
        page.call("stop_request", {"run": first})
        assert page.wait_for_end(third)["status"] == "succeeded"
        page.close()


def test_what_a_crash_prints_in_a_flood_is_there(page: Page) -> None:
    """os._exit in the midst of a flood loses nothing that was printed before it."""
    run = page.start("leaves_process", count=20_000)
    end = page.wait_for_end(run)
    assert (end["status"], end["exit_code"]) == ("failed", 3)
    assert [int(line) for line in page.text(run).splitlines()] == list(range(20_000))
