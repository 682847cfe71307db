"""What tests do on the page where code is typed."""

from __future__ import annotations

from playwright.sync_api import Error, Locator, Page, expect

from tests.e2e.conftest import complaints_of, shown

MINUTE = 60_000.0


def type_code(page: Page, code: str) -> None:
    """Replace what the editor has, as somebody who pastes."""
    page.click(".cm-content", timeout=MINUTE)
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(code)


def code_of(page: Page) -> str:
    """What the editor has."""
    return "\n".join(line.inner_text().rstrip("\n") for line in page.locator(".cm-line").all())


def wait_for(page: Page, status: str) -> None:
    """Wait until the shown run has this status and its output is there."""
    page.wait_for_selector(f"#log[data-status='{status}']", timeout=MINUTE)


def run(page: Page, code: str, status: str = "succeeded") -> str:
    """Type code, run it by the keyboard, wait for its end; what the terminal shows."""
    ready(page)
    type_code(page, code)
    before = page.url
    page.keyboard.press("Control+Enter")
    expect(page).not_to_have_url(before, timeout=MINUTE)
    wait_for(page, status)
    return shown(page)


def ready(page: Page) -> None:
    """Wait until Run may be pressed."""
    try:
        page.wait_for_selector("#start:enabled:not([aria-disabled=true])", timeout=MINUTE)
    except Error as error:
        raise AssertionError(complaints_of(page)) from error


def wait_for_text(page: Page, text: str) -> None:
    """Wait until the terminal shows this."""
    expect(page.locator("#log .xterm-rows")).to_contain_text(text, timeout=MINUTE)


def row(page: Page, words: str) -> Locator:
    """The newest row of the list of runs whose code begins so."""
    return page.locator("#runs > li", has_text=words).first
