"""The jobs that come along, and a job file that is saved while the server runs, through the real server."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.serving import Page, Server
from tests.unit.jobfiles import put
from tests.waiting import wait_until

WAYS = {
    "an exception": ("failed", 1, "ZeroDivisionError: division by zero", "ZeroDivisionError: division by zero\n"),
    "an exception with a cause": (
        "failed",
        1,
        "ValueError: the figures cannot be right",
        "direct cause of the following",
    ),
    "sys.exit(3)": ("failed", 3, "exit code 3", "Going to end by sys.exit(3) ...\n"),
    "sys.exit with a text": ("failed", 1, "exit code 1", "There is nothing to do.\n"),
    "endless recursion": ("failed", 1, "RecursionError: maximum recursion depth exceeded", "in recurse\n"),
    "an exception in a child thread": ("succeeded", 0, "", "ZeroDivisionError: division by zero\n"),
    "closes its stdout first": ("failed", 1, "ZeroDivisionError: division by zero", "in divide\n"),
}


def test_counting_draws_a_bar_on_one_line_and_stops(server: Server, page: Page) -> None:
    """The bar's steps come live, with carriage returns; Stop ends the count between two of them."""
    run = page.start("count", steps="5", pause="0.1")
    ended = page.wait_for_end(run)
    assert (ended["status"], ended["progress"]) == ("succeeded", [5, 5])
    bar, *rest = page.text(run).split("\n")
    assert bar.count("\r") >= 5
    assert "100%" in bar
    assert rest == ["Counted to 5.", ""]

    run = page.start("count", steps=100_000, pause=0.05)
    page.wait_for_text(run, "3/100000")
    page.call("stop_request", {"run": run})
    assert page.wait_for_end(run)["status"] == "stopped"
    assert re.search(r"\nCounted to \d{1,3}\.\n$", page.text(run))


def test_bars_of_several_runs_do_not_move_each_other(page: Page) -> None:
    """Each run's bar stays on its own line, though one library draws them all in one process."""
    runs = [page.start("count", steps=20, pause=0.05) for _ in range(3)]
    for run in runs:
        assert page.wait_for_end(run)["status"] == "succeeded"
        bar, *rest = page.text(run).split("\n")
        assert bar.startswith("\r  0%|")
        assert "\x1b" not in bar
        assert rest == ["Counted to 20.", ""]


def test_everything_that_the_noisy_job_prints_arrives_whole(
    server: Server, page: Page, person: requests.Session
) -> None:
    """Each source's lines are there, whole and in order, up to the one without a newline, and none on the console."""
    run = page.start("noisy", lines=20, threads=4, pause=0.001)
    assert page.wait_for_end(run)["status"] == "succeeded"
    text = page.text(run)
    assert server.output(person, run).decode() == text
    found = text.split("\n")
    sources = [
        "job",
        "task 1",
        "task 2",
        *(f"{kind} {number}" for kind in ("thread", "worker") for number in range(1, 5)),
    ]
    for source in sources:
        lines = [line for line in found if line.startswith(f"{source}: ")]
        assert lines == [f"{source}: line {number} of 20" for number in range(1, 21)]
    others = [line for line in found if not line.startswith(tuple(f"{source}: " for source in sources))]
    assert others == ["logging: a warning", "stderr: a line", "the last line has no newline"]
    assert "line 1 of 20" not in server.log.read_text()


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_fail_is_told_and_the_next_start_works(way: str, page: Page) -> None:
    """Status, exit code and message say how it ended, and the output has the traceback."""
    status, code, message, words = WAYS[way]
    run = page.start("fails", way=way)
    ended = page.wait_for_end(run)
    assert (ended["status"], ended["exit_code"]) == (status, code)
    assert ended["message"].startswith(message)
    assert words in page.text(run)
    assert page.wait_for_end(page.start("count", steps=1, pause=0))["status"] == "succeeded"


def test_wrong_parameters_start_nothing(page: Page) -> None:
    """The answer has a sentence beside each wrong field, and no run is made."""
    answer = page.call("start_request", {"job": "count", "params": {"steps": 0, "pause": "x", "more": 1}})
    assert not answer["ok"]
    assert answer["error"]["code"] == "invalid_parameters"
    assert answer["error"]["fields"] == {
        "steps": "Input should be greater than or equal to 1",
        "pause": "Input should be a valid number, unable to parse string as a number",
        "more": "There is no such parameter.",
    }
    assert page.statuses == {}


def test_a_saved_job_file_is_live_at_the_next_start(job_folder: Path, start_server: Callable[..., Server]) -> None:
    """A run in progress keeps its code; the next Start has the new one; a broken file says so and heals."""
    text = (
        "import time\nfrom app.catalog import job\n@job\ndef live(running):\n    '''First line.'''\n"
        "    while running():\n        print('version', {}, flush=True)\n        time.sleep(0.02)\n"
    )
    put(job_folder, "live", text.format(1))
    server = start_server(JOBS=str(job_folder))
    person = server.log_in()
    page = server.page(person)
    first = page.start("live")
    page.wait_for_text(first, "version 1")
    put(job_folder, "live", text.format(2))
    second = page.start("live")
    page.wait_for_text(second, "version 2")

    put(job_folder, "live", "def broken(")
    answer = page.call("start_request", {"job": "live"})
    assert answer["error"]["code"] == "job_broken"
    assert "work/live.py, line 1: SyntaxError" in answer["error"]["message"]
    shown = person.get(f"{server.url}/jobs/live", timeout=20)
    assert shown.status_code == 200
    assert "work/live.py, line 1: SyntaxError" in shown.text
    assert page.call("start_request", {"job": "list_spaces"})["ok"]

    put(job_folder, "live", text.format(3))
    page.wait_for_text(page.start("live"), "version 3")
    for run in (first, second):
        page.call("stop_request", {"run": run})
        assert page.wait_for_end(run)["status"] == "stopped"
    assert set(page.text(first).split("\n")) == {"version 1", ""}
    assert set(page.text(second).split("\n")) == {"version 2", ""}
    page.close()


def test_a_file_that_takes_long_to_import_holds_up_nobody_else(
    job_folder: Path, start_server: Callable[..., Server]
) -> None:
    """While one person's Start waits for an import, the server answers others."""
    server = start_server(JOBS=str(job_folder))
    page = server.page(server.log_in())
    begun, go = job_folder / "begun", job_folder / "go"
    code = (
        f"import time\nfrom pathlib import Path\nfrom app.catalog import job\nPath({str(begun)!r}).touch()\n"
        f"while not Path({str(go)!r}).exists(): time.sleep(0.01)\n@job\ndef slow(): print('at last')\n"
    )
    put(job_folder, "slow", code)
    runs: list[str] = []
    starting = threading.Thread(target=lambda: runs.append(page.start("slow")))
    starting.start()
    wait_until(begun.exists)
    try:
        assert requests.get(f"{server.url}/healthz", timeout=10).ok
    finally:
        go.touch()
    starting.join()
    assert page.wait_for_end(runs[0])["status"] == "succeeded"
    page.close()
