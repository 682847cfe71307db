"""Real Chromium for tests of the page, and visitors who are logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect, sync_playwright

from tests.serving import Server, log_in

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 20_000.0
# A page's own time for it does not count for what is expected of the page.
expect.set_options(timeout=SECONDS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, running."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Complaints:
    """What a browser complained about: messages of its console, uncaught errors, dialogs."""

    def __init__(self, page: Page) -> None:
        self.texts: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.texts.append(f"uncaught: {error}"))
        page.on("dialog", self._dialog)

    def _dialog(self, dialog: Dialog) -> None:
        self.texts.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.texts.append(message.text)


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """A function that opens a path as somebody who is logged in; `complaints_of(page)` are the browser's complaints."""
    with ExitStack() as stack:

        def open_(path: str = "/", *, user: int = 0, url: str = server.url, **options: Any) -> Page:
            context = stack.enter_context(browser.new_context(**options))
            context.add_cookies(
                [{"name": cookie.name, "value": cookie.value or "", "url": url} for cookie in log_in(url, user).cookies]
            )
            page = context.new_page()
            page.set_default_timeout(SECONDS)
            _complaints[page] = Complaints(page)
            page.goto(url + path)
            return page

        yield open_
        _complaints.clear()


_complaints: dict[Page, Complaints] = {}


def complaints_of(page: Page) -> list[str]:
    """What the browser complained about on this page so far."""
    return _complaints[page].texts


# At most a second: what is in the background is drawn no more.
TWO_FRAMES = """
() => new Promise(done => {
  requestAnimationFrame(() => requestAnimationFrame(done));
  setTimeout(done, 1000);
})
"""
# So long nothing is shown before nothing is what there is to show.
QUIET_TURNS = 8


def start_and_wait(page: Page, status: str = "succeeded") -> str:
    """Press Start and wait for the end; the lines that the terminal shows."""
    page.click("#start")
    page.wait_for_selector(f"#log[data-status='{status}']")
    return shown(page)


def shown(page: Page) -> str:
    """The lines that the terminal shows, once it draws no more."""
    before, same, text = "", 0, ""
    for turn in range(60):
        # The terminal draws what it has been given at the next frame, which may be late on a busy machine.
        page.wait_for_timeout(100)
        page.evaluate(TWO_FRAMES)
        text = page.locator("#log .xterm-rows").inner_text().replace("\xa0", " ")
        same = same + 1 if text == before else 0
        if same > 1 and (text.strip() or turn > QUIET_TURNS):
            break
        before = text
    return text
