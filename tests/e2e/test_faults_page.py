"""The page under faults: asleep, beside a flood that is larger than it could hold, and with bytes that mean harm."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.e2e.conftest import complaints_of, shown
from tests.e2e.test_flow import _wait, _wait_for_position

Visit = Callable[..., Page]
# What a tab may hold after a flood: the terminal's ten thousand lines and what is on its way, not the output.
HEAP_BYTES = 60_000_000


def _heap(page: Page) -> int:
    """What the page's scripts hold, after its garbage is collected."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    devtools.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    return int(metrics["JSHeapUsedSize"])


def _renderers(browser: Browser) -> list[int]:
    """The processes that run pages."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return [each["id"] for each in found if each["type"] == "renderer"]


def test_a_browser_that_slept_goes_on_where_it_was(visit: Visit, browser: Browser, tmp_path: Path) -> None:
    """A page that stood still for longer than its connection lives lacks nothing afterwards, and has nothing twice."""
    page = visit("/jobs/witness")
    # What its scripts are given; the browser itself goes on receiving while they sleep.
    page.add_init_script(
        """window.given = [];
        window.WebSocket = class extends WebSocket {
          constructor(...all) { super(...all); this.addEventListener("message", (event) => given.push(event.data)); }
        };"""
    )
    page.reload()
    page.fill("#p-file", str(tmp_path / "file"))
    page.fill("#p-seconds", "22")
    page.click("#start")
    _wait_for_position(page, 500)
    renderers = _renderers(browser)
    try:
        for process in renderers:
            os.kill(process, signal.SIGSTOP)
        time.sleep(14)
    finally:
        for process in renderers:
            os.kill(process, signal.SIGCONT)
    _wait(page, "succeeded", 60)
    given = page.evaluate("window.given")
    assert (
        len([packet for packet in given if packet.startswith("0")]) == 2
    )  # one connection before the sleep, one after
    pieces = [json.loads(packet[2:])[1] for packet in given if packet.startswith('42["output"')]
    assert [piece["start"] for piece in pieces] == [0, *(piece["position"] for piece in pieces[:-1])]
    assert "".join(piece["data"] for piece in pieces).encode() == (tmp_path / "file").read_bytes()
    assert page.get_attribute("#log", "data-position") == str(pieces[-1]["position"])


def test_a_hundred_megabytes_with_the_page_open(visit: Visit) -> None:
    """During 100 MB of output the page answers, its memory stays bounded, and Stop works within a second."""
    page = visit("/jobs/flood")
    page.fill("#p-megabytes", "100")
    page.click("#start")
    longest = 0.0
    for _ in range(1000):
        began = time.monotonic()
        position = int(page.get_attribute("#log", "data-position") or 0)
        longest = max(longest, time.monotonic() - began)
        if page.get_attribute("#log", "data-status") == "succeeded":
            break
        page.wait_for_timeout(50)
    assert position > 0
    assert longest < 1
    _wait(page, "succeeded", 90)
    assert page.get_attribute("#log", "data-position") == "100000000"
    assert "000999999" in shown(page)
    assert _heap(page) < HEAP_BYTES
    page.fill("#p-megabytes", "1000")
    page.click("#start")
    _wait_for_position(page, 5_000_000)
    began = time.monotonic()
    page.click("#stop")
    _wait(page, "stopped")
    sys.stdout.write(f"STOP {time.monotonic() - began} HEAP {_heap(page)} LONGEST {longest}\n")
    assert complaints_of(page) == []
