"""What the header of each page says of the system, and the example page that is told the time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import complaints_of
from tests.killable import Valkey
from tests.serving import Server, running_server

TEXT = "#system-text"


def _sockets(page: Page) -> list[str]:
    """The websockets that the page opens from now on."""
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    return opened


@pytest.mark.parametrize("path", ["/", "/jobs/lines", "/tokens", "/test", "/runs/AAAAAAAAAAAAAAAAAAAAAA"])
def test_every_page_says_how_the_system_is_by_one_connection(visit: Callable[..., Page], path: str) -> None:
    """Pages with a run and without, error pages too: one websocket, and the header is told."""
    page = visit("/")
    home = page.url.rstrip("/")
    page.goto("about:blank")
    opened = _sockets(page)
    page.goto(home + path)
    expect(page.locator(TEXT)).to_contain_text(re.compile(r"^\d+ running"))
    expect(page.locator("#system")).to_have_attribute("data-state", "well")
    assert len(opened) == 1, opened
    assert page.locator("#system-trouble").inner_text() == ""
    assert [each for each in complaints_of(page) if "404" not in each] == []


def test_a_run_of_anybody_changes_what_all_pages_say(
    visit: Callable[..., Page], start_alone: Callable[..., Server]
) -> None:
    """A second person's page says that a run happens and another waits, and shows more on demand."""
    server = start_alone(NODE_RUNS="1")
    page = visit("/", url=server.url, user=1)
    expect(page.locator(TEXT)).to_have_text(re.compile(r"^0 running, \d runners?$"))
    runner = server.page(server.log_in())
    runs = [runner.start("sleeper") for _ in range(2)]
    expect(page.locator(TEXT)).to_contain_text("1 running, 1 waiting, ")
    more = page.locator("#system-more")
    expect(more).to_be_hidden()
    page.get_by_text("1 running, 1 waiting").click()
    expect(more).to_contain_text("in the queue thread")
    expect(more).to_contain_text("Web servers")
    page.keyboard.press("Escape")
    expect(more).to_be_hidden()
    for run in runs:
        runner.call("stop_request", {"run": run})
    expect(page.locator(TEXT)).to_contain_text("0 running, ")
    runner.close()


def test_trouble_is_clear_and_said_aloud_once(
    visit: Callable[..., Page], valkey: Valkey, store_settings: dict[str, Any]
) -> None:
    """A list page, which has no run's socket: the store goes and comes, then the server goes."""
    with running_server(Path(store_settings["KEY_DIR"]) / "log", **store_settings) as server:
        page = visit("/", url=server.url)
        aloud = page.locator("#system-trouble")
        expect(page.locator(TEXT)).to_have_text("0 running, 1 runner")
        valkey.kill()
        expect(page.locator(TEXT)).to_contain_text("Storage unavailable since ")
        expect(page.locator("#system")).to_have_attribute("data-state", "trouble")
        expect(page.locator("#storage")).to_contain_text("The storage cannot be reached.")
        expect(aloud).to_contain_text("Storage unavailable since ")
        valkey.start()
        expect(page.locator(TEXT)).to_have_text("0 running, 1 runner")
        expect(page.locator("#storage")).to_be_hidden()
        expect(aloud).to_have_text("All is well again.")
    expect(page.locator(TEXT)).to_contain_text("Not connected since ")
    expect(aloud).to_contain_text("Not connected since ")


def test_a_logout_elsewhere_is_told(visit: Callable[..., Page], server: Server) -> None:
    """Another tab of the browser logs out: this one says so."""
    page = visit("/", user=1)
    expect(page.locator(TEXT)).to_contain_text("running")
    other = page.context.new_page()
    other.goto(f"{server.url}/")
    other.click("text=Logout")
    expect(page.locator(TEXT)).to_have_text("Logged out")


def test_a_page_that_nobody_looks_at_lets_go(visit: Callable[..., Page]) -> None:
    """In the background for a minute it has no connection; seen again it is told again."""
    page = visit("/")
    page.clock.install()
    page.reload()
    expect(page.locator(TEXT)).to_contain_text("running")
    opened = _sockets(page)
    page.evaluate(
        "visible => { Object.defineProperty(document, 'hidden', {get: () => !window.seen, configurable: true});"
        " window.seen = visible; document.dispatchEvent(new Event('visibilitychange')); }",
        False,
    )
    page.clock.fast_forward(61_000)
    page.wait_for_timeout(300)
    assert opened == []
    page.evaluate("() => { window.seen = true; document.dispatchEvent(new Event('visibilitychange')); }")
    page.clock.resume()
    expect(page.locator("#system")).to_have_attribute("data-state", "well")
    assert len(opened) == 1, opened


def test_the_example_shows_the_time_as_text(visit: Callable[..., Page]) -> None:
    """`#test` says Hello, then the time, each second another; what comes is text, whatever is in it."""
    page = visit("/test")
    expect(page.locator("#test")).to_have_text(re.compile(r"^[\d-]{10} [\d:]{8} UTC$"))
    first = page.locator("#test").inner_text()
    expect(page.locator("#test")).not_to_have_text(first)
    expect(page.locator("#responses")).to_contain_text("0: Connected")
    page.click("#send")
    expect(page.locator("#responses")).to_contain_text("1: I'm connected!")
    assert page.locator("#test > *").count() == 0
    assert complaints_of(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_header_fits(visit: Callable[..., Page], scheme: str, width: int, tmp_path: Path) -> None:
    """On a wide screen and on a phone nothing runs out of the page, and the details stay within it."""
    page = visit("/jobs/lines", color_scheme=scheme, viewport={"width": width, "height": 800})
    expect(page.locator(TEXT)).to_contain_text("running")
    page.click("#system summary")
    expect(page.locator("#system-more")).to_be_visible()
    page.screenshot(path=str(tmp_path / "header.png"))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box = page.locator("#system-more").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
