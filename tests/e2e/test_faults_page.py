"""The page under faults: asleep, beside a flood that is larger than it could hold, and with bytes that mean harm."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.e2e.conftest import complaints_of, shown
from tests.e2e.test_flow import _run_of, _wait, _wait_for_position
from tests.serving import Server, log_in

Visit = Callable[..., Page]
# What a tab may hold after a flood: the terminal's ten thousand lines and what is on its way, not the output.
HEAP_BYTES = 60_000_000
# Much more than it takes on a machine that does nothing else.
ANSWER_SECONDS, STOP_SECONDS, SAID_SECONDS = 10.0, 10.0, 20.0


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


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        # That of a page which was closed just now may end at any moment.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def sleep_through(visit: Visit, browser: Browser, file: Path, seconds: int) -> None:
    """A page stands still for so long; what its scripts are given afterwards goes on where they were."""
    page = visit("/jobs/witness")
    # What its scripts are given; the browser itself goes on receiving while they sleep.
    page.add_init_script(
        """window.given = [];
        window.WebSocket = class extends WebSocket {
          constructor(...all) { super(...all); this.addEventListener("message", (event) => given.push(event.data)); }
        };"""
    )
    page.reload()
    page.fill("#p-file", str(file))
    page.fill("#p-seconds", str(seconds + 8))
    page.click("#start")
    _wait_for_position(page, 500)
    renderers = _renderers(browser)
    try:
        _signal(renderers, signal.SIGSTOP)
        time.sleep(seconds)
    finally:
        _signal(renderers, signal.SIGCONT)
    _wait(page, "succeeded", 60)
    given = page.evaluate("window.given")
    # One connection before the sleep, one after.
    assert len([packet for packet in given if packet.startswith("0")]) == 2
    pieces = [json.loads(packet[2:])[1] for packet in given if packet.startswith('42["output"')]
    assert [piece["start"] for piece in pieces] == [0, *(piece["position"] for piece in pieces[:-1])]
    assert "".join(piece["data"] for piece in pieces).encode() == file.read_bytes()
    assert page.get_attribute("#log", "data-position") == str(pieces[-1]["position"])


def test_a_browser_that_slept_goes_on_where_it_was(visit: Visit, browser: Browser, tmp_path: Path) -> None:
    """A page that stood still for longer than its connection lives lacks nothing afterwards, and has nothing twice."""
    sleep_through(visit, browser, tmp_path / "file", 20)


def flood_the_page(page: Page, megabytes: int) -> None:
    """So much output with the page open: it answers all along, stays small, and has the end on its screen."""
    page.fill("#p-megabytes", str(megabytes))
    page.click("#start")
    longest = 0.0
    while page.get_attribute("#log", "data-status") != "succeeded":
        began = time.monotonic()
        position = int(page.get_attribute("#log", "data-position") or 0)
        longest = max(longest, time.monotonic() - began)
        assert longest < ANSWER_SECONDS, position
        page.wait_for_timeout(50)
    assert page.get_attribute("#log", "data-position") == str(megabytes * 1_000_000)
    assert f"{megabytes * 10_000 - 1:09d}" in shown(page)
    assert _heap(page) < HEAP_BYTES


def test_a_hundred_megabytes_with_the_page_open(visit: Visit) -> None:
    """During 100 MB of output the page answers and its memory stays bounded."""
    page = visit("/jobs/flood")
    flood_the_page(page, 100)
    assert complaints_of(page) == []


def test_stop_ends_a_flood(visit: Visit, server: Server) -> None:
    """Stop in the middle of a flood ends the job at once, and the page, which shows the flood's end, says so soon."""
    page = visit("/jobs/flood")
    asked: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: asked.append(str(frame))))
    page.reload()
    page.fill("#p-megabytes", "1000")
    page.click("#start")
    # The page is overtaken by what is printed, and goes on with the end of it.
    while not any('"tail":' in frame for frame in asked):
        # None while it begins anew.
        assert page.get_attribute("#log", "data-status") in ("", "running")
        page.wait_for_timeout(50)
    pressed = time.time()
    page.click("#stop")
    _wait(page, "stopped", 60)
    said = time.time()
    viewer = server.page(log_in(server.url))
    run = viewer.call("watch", {"run": _run_of(page), "ack": True})["run"]
    viewer.close()
    assert run["ended"] - pressed < STOP_SECONDS
    assert said - pressed < SAID_SECONDS
    assert complaints_of(page) == []
