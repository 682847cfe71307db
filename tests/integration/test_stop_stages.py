"""Stop of thread runs that do not stop when they are asked to: an exception, and then the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.serving import Page, Server


def stop(page: Page, run: str) -> None:
    """Press Stop once the job is at work."""
    page.wait_for_text(run, "begun")
    assert page.call("stop_request", {"run": run})["ok"]


@pytest.mark.parametrize("how", ["loop", "print", "logging", "sleep", "event"])
def test_an_exception_ends_a_job_that_does_not_look(page: Page, how: str) -> None:
    """A job in a loop is ended by an exception after the first stage, and its run is stopped."""
    run = page.start("spinning", how=how)
    stop(page, run)
    ended = page.wait_for_end(run)
    assert (ended["status"], ended["message"]) == ("stopped", "It went on after Stop, so an exception ended it.")
    assert page.text(run).count("caught") == 1
    assert "Stopped: Stop was pressed." in page.text(run)
    # The end may be quicker than the news of the stage.
    assert ended["stage"]["name"] in ("ask", "raise")


@pytest.mark.parametrize("params", [{}, {"blocks": True}])
def test_a_task_that_catches_its_cancellation_is_ended_through_its_loop(page: Page, params: dict[str, bool]) -> None:
    """An async job that goes on after a cancellation is ended like any other, also where its loop has no turn."""
    run = page.start("shielded", **params)
    stop(page, run)
    assert page.wait_for_end(run)["status"] == "stopped"


def test_a_loop_of_the_jobs_own_is_found(page: Page) -> None:
    """A job that waits in a loop which it made itself is ended, and its tasks clean up."""
    run = page.start("own_loop")
    stop(page, run)
    assert page.wait_for_end(run)["status"] == "stopped"
    assert "cleaned up" in page.text(run)


@pytest.mark.parametrize("kind", ["threads", "pool"])
def test_child_threads_end_too(page: Page, kind: str) -> None:
    """A job that waits for its threads is stopped when they have ended: each gets the exception."""
    run = page.start("crew", kind=kind)
    page.wait_for_text(run, "begun 1")
    stop(page, run)
    assert page.wait_for_end(run)["status"] == "stopped"


def test_an_exception_that_is_caught_comes_again_a_few_times(page: Page) -> None:
    """Caught twice, it comes a third time."""
    run = page.start("spinning", catches=2)
    stop(page, run)
    assert page.wait_for_end(run)["status"] == "stopped"
    assert page.text(run).count("caught") == 3


def test_a_job_that_catches_all_of_them_is_ignored_and_never_called_stopped(page: Page) -> None:
    """The run stays `stopping`, its stage says `ignored`, its output comes; when it ends after all it is stopped."""
    run = page.start("spinning", catches=1000, seconds=5)
    stop(page, run)
    with page.changed:
        assert page.changed.wait_for(lambda: _stage(page, run) == "ignored", 20)
    assert page.statuses[run]["status"] == "stopping"
    assert page.statuses[run]["stage"] == {"name": "ignored", "next": None, "until": None}
    ended = page.wait_for_end(run)
    assert ended["status"] == "stopped"
    assert page.text(run).endswith("over\n")
    assert page.text(run).count("caught") == 3


def test_each_stage_says_what_comes_next_and_when(page: Page) -> None:
    """While it lasts, a stage names the next one and the time."""
    run = page.start("asleep", seconds=6)
    page.wait_for_text(run, "begun")
    began = time.time()
    stop(page, run)
    for name, after, seconds in (("ask", "raise", 1.0), ("raise", "ignored", 2.0)):
        with page.changed:
            assert page.changed.wait_for(lambda: name in _stages(page, run), 20)  # noqa: B023 - waited for right here
            stage = _stages(page, run)[name]
        assert stage["next"] == after
        assert began + seconds - 1 < stage["until"] < began + seconds + 10
    assert page.wait_for_end(run)["status"] == "stopped"


@pytest.mark.parametrize("deaf", [True, False])
def test_a_run_that_takes_too_long_is_timed_out(page: Page, deaf: bool) -> None:
    """Its time over, a run goes through the same stages, and its status says why."""
    run = page.start("slow", deaf=deaf)
    ended = page.wait_for_end(run)
    assert ended["status"] == "timed out"
    assert "longer than 1 s, which is its limit" in ended["message"]


def test_kill_is_refused_for_a_thread_and_for_what_is_not_ones_own(server: Server, page: Page) -> None:
    """A clear sentence, and the run goes on; wrong, foreign and unknown ones are answered, and change nothing."""
    run = page.start("spinning")
    page.wait_for_text(run, "begun")
    refused = page.call("kill_request", {"run": run})["error"]
    assert refused["code"] == "forbidden"
    assert "cannot be killed. Press Stop" in refused["message"]
    stranger = server.page(server.log_in(1))
    assert stranger.call("kill_request", {"run": run})["error"]["code"] == "not_found"
    assert stranger.call("kill_request")["error"]["code"] == "not_found"
    stranger.close()
    for wrong, code in (
        ({"run": "x" * 22}, "not_found"),
        ({"run": "../../etc"}, "not_found"),
        ({"run": "x" * 100_000}, "bad_request"),
        ({"run": 7}, "bad_request"),
        ({"run": ["a"]}, "bad_request"),
        ("run", "bad_request"),
    ):
        assert page.call("kill_request", wrong)["error"]["code"] == code
    assert page.statuses.get(run, {}).get("status", "running") == "running"
    stop(page, run)
    assert page.wait_for_end(run)["status"] == "stopped"
    # Once it is over nothing changes any more.
    assert page.call("stop_request", {"run": run})["run"]["status"] == "stopped"


def test_stop_again_and_again_is_one_stop(page: Page) -> None:
    """However often it is pressed, a run goes through the stages once."""
    run = page.start("spinning", catches=1)
    page.wait_for_text(run, "begun")
    for _ in range(30):
        page.call("stop_request", {"run": run})
    assert page.wait_for_end(run)["status"] == "stopped"
    assert page.text(run).count("caught") == 2


def _stage(page: Page, run: str) -> str | None:
    stage = page.statuses.get(run, {}).get("stage")
    return stage["name"] if stage else None


def _stages(page: Page, run: str) -> dict[str, dict[str, Any]]:
    told = [each["stage"] for each in page.told if each["id"] == run]
    return {stage["name"]: stage for stage in told if stage}


def test_a_daemon_of_the_jobs_holds_no_stop_up(start_server: Callable[..., Server]) -> None:
    """The first progress bar of a process starts a thread that watches over all to come: nobody waits for that."""
    server = start_server()
    page = server.page(server.log_in())
    run = page.start("count", steps=1000)
    page.wait_for_text(run, "0/1000")
    page.call("stop_request", {"run": run})
    assert page.wait_for_end(run)["status"] == "stopped"
    page.close()
