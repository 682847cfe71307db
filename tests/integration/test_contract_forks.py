"""Processes that a job forks: they end as in a script, hear of Stop, and take no answer away from the job."""

from __future__ import annotations

import pytest

from tests.serving import Page
from tests.waiting import wait_until

PROCESSES = ("process", "celery")


@pytest.mark.parametrize("executor", PROCESSES)
def test_forked_children_end_as_they_do_and_take_nothing_away(open_page: Page, executor: str) -> None:
    """Exit codes and tracebacks are their own; a token is refused with a reason, and Stop is heard by all."""
    run = open_page.start(f"forks_{executor}")
    said = open_page.wait_for_text(run, "waits\n")
    assert [line for line in said.splitlines() if " is " in line] == ["0 is 0", "3 is 3", "1 is 1"]
    assert said.count("ZeroDivisionError: division by zero") == 1
    assert "RealtimeError True\n" in said
    assert "own True\n" in said
    wait_until(lambda: open_page.statuses[run]["progress"] == [1, 2])
    open_page.call("stop_request", {"run": run})
    assert open_page.wait_for_end(run)["status"] == "stopped"
    assert open_page.text(run).endswith("waits\nthe child was asked\nthe job was asked\n")


@pytest.mark.parametrize("executor", PROCESSES)
def test_a_forked_child_is_interrupted(open_page: Page, executor: str) -> None:
    """SIGINT is KeyboardInterrupt there, too."""
    run = open_page.start(f"forks_sleep_{executor}")
    open_page.wait_for_text(run, "asleep\n")
    open_page.call("stop_request", {"run": run})
    end = open_page.wait_for_end(run)
    assert (end["status"], end["exit_code"]) == ("stopped", 130)
    assert open_page.text(run) == "asleep\nthe child was interrupted\n"
