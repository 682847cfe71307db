"""The page while the server's clock is set back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.clocks import Clock
from tests.e2e.conftest import complaints_of
from tests.serving import Server


def test_no_time_is_negative(visit: Callable[..., Page], start_server: Callable[..., Server], tmp_path: Path) -> None:
    """A run that began an hour later than it ended took no time, live and afterwards, also after a reload."""
    clock = Clock(tmp_path / "clock")
    server = start_server(**clock.environment)
    clock.jump(3600)
    page = visit("/jobs/heartbeat", url=server.url)
    page.fill("#p-file", str(tmp_path / "beats"))
    page.click("#start")
    page.wait_for_selector("#log[data-status=running]")
    elapsed = page.locator("#elapsed")
    expect(elapsed).not_to_have_text("")
    clock.jump(0)
    page.reload()
    page.wait_for_selector("#log[data-status=running]")
    expect(elapsed).to_have_text("0 s")
    page.click("#stop")
    page.wait_for_selector("#log[data-status=stopped]")
    expect(elapsed).to_have_text("0.0 s")
    page.reload()
    expect(elapsed).to_have_text("0.0 s")
    assert complaints_of(page) == []
