"""Stop on the page: what a job's kind is, each stage with its countdown, Kill now, and a job that ignores all of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import complaints_of, shown

Visit = Callable[..., Page]


def _wait(page: Page, status: str, seconds: float = 40) -> None:
    page.wait_for_selector(f"#log[data-status='{status}']", timeout=seconds * 1000)


def _begin(page: Page) -> None:
    """Press Start, and wait until the job's own code is at work."""
    page.click("#start")
    expect(page.locator("#log")).to_have_attribute("data-position", re.compile(r"[1-9]"), timeout=40_000)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("asleep", ["One at a time", "in a thread of the web server", "asks it first and", "cannot be killed"]),
        ("stepwise", ["At most 2 at a time", "At most 10 minutes", "512 MB of memory", "after 20 s", "Kill now"]),
    ],
)
def test_the_page_says_beforehand_what_a_job_is(visit: Visit, job: str, words: list[str]) -> None:
    """Before Start stands where the job runs, what Stop can do there, and its limits."""
    page = visit(f"/jobs/{job}")
    for each in words:
        expect(page.locator("#kind")).to_contain_text(each)


def test_a_thread_is_interrupted_and_the_page_counts_down(visit: Visit) -> None:
    """The stage and the seconds until the next one are shown; nothing offers to kill a thread."""
    page = visit("/jobs/patient")
    _begin(page)
    page.click("#stop")
    expect(page.locator("#stage-text")).to_have_text("Asked to stop.")
    expect(page.locator("#stage-next")).to_have_text("An exception interrupts it in")
    expect(page.locator("#countdown")).to_have_text(re.compile(r"^[1-8] s$"))
    expect(page.locator("#kill")).to_be_hidden()
    _wait(page, "stopped")
    expect(page.locator("#stage")).not_to_have_attribute("data-shown", "")
    expect(page.locator("#message")).to_contain_text("an exception ended it")
    assert complaints_of(page) == []


def test_a_job_that_ignores_stop_is_called_so(visit: Visit) -> None:
    """A job that sleeps through Stop and exception is said to be ignored, never stopped before its end."""
    page = visit("/jobs/asleep")
    page.fill("#p-seconds", "20")
    _begin(page)
    page.click("#stop")
    expect(page.locator("#stage-text")).to_contain_text("does not respond", timeout=30_000)
    expect(page.locator("#status")).to_have_text("stopping")
    expect(page.locator("#countdown")).to_be_hidden()
    page.reload()
    expect(page.locator("#stage-text")).to_contain_text("does not respond")
    _wait(page, "stopped")
    assert "begun" in shown(page)


def test_kill_now_ends_a_process_at_once(visit: Visit) -> None:
    """Stop shows its first stage and, for a process, a button that ends it without waiting; the keyboard reaches it."""
    page = visit("/jobs/obstinate")
    _begin(page)
    expect(page.locator("#kill")).to_be_hidden()
    page.click("#stop")
    expect(page.locator("#stage-next")).to_have_text("It is told to end in", timeout=20_000)
    expect(page.locator("#countdown")).to_have_text(re.compile(r"^[1-5]\d s$"))
    kill = page.get_by_role("button", name="Kill now")
    kill.focus()
    page.keyboard.press("Enter")
    _wait(page, "killed")
    expect(page.locator("#exit")).to_have_text("by SIGKILL")
    expect(page.locator("#runs li").first).to_contain_text("by SIGKILL")
    expect(page.locator("#kill")).to_be_hidden()
    assert page.evaluate("document.activeElement.className").startswith("xterm")
    page.reload()
    expect(page.locator("#runs li").first).to_contain_text("by SIGKILL")


def test_a_process_goes_from_stage_to_stage(visit: Visit) -> None:
    """One that ignores SIGINT is told to end; each stage is named in its turn."""
    page = visit("/jobs/stepwise")
    _begin(page)
    page.click("#stop")
    expect(page.locator("#stage-text")).to_have_text("Interrupted, as by Ctrl-C.", timeout=20_000)
    expect(page.locator("#stage-next")).to_have_text("It is told to end in")
    _wait(page, "stopped")
    expect(page.locator("#exit")).to_have_text("by SIGTERM")


def test_a_run_that_waits_shows_its_turn(visit: Visit) -> None:
    """Of a job that runs one at a time a second run says that it waits, and for what; then it begins."""
    page = visit("/jobs/asleep")
    # Until the other page is there, however busy the machine is.
    page.fill("#p-seconds", "15")
    _begin(page)
    other = visit("/jobs/asleep?again=")
    other.fill("#p-seconds", "0")
    other.click("#start")
    expect(other.locator("#status")).to_have_text("queued")
    expect(other.locator("#stage-text")).to_contain_text("Next in the queue")
    expect(other.locator("#stage-text")).to_contain_text("one run at a time")
    _wait(other, "succeeded")
    expect(other.locator("#stage-text")).to_have_text("")
