"""Output is text, whatever it holds, and no page breaks the policy that it is sent with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import complaints_of, shown, start_and_wait

Visit = Callable[..., Page]


def test_output_is_inert(visit: Visit) -> None:
    """Markup, links by OSC 8, the clipboard by OSC 52, titles and mouse modes do nothing, also split across writes."""
    page = visit("/jobs/attack", permissions=["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('mine')")
    title = page.title()
    text = start_and_wait(page)
    assert "<img src=x onerror=\"document.title='hacked'\">" in text
    assert "a link" in text
    assert "split link" in text
    assert "all printed" in text
    assert page.locator("#log img, #log script, #log a, #log iframe").count() == 0
    for words in ("a link", "split link"):
        place = page.locator(".xterm-rows > div", has_text=words).first.bounding_box()
        assert place is not None
        page.mouse.move(place["x"] + 12, place["y"] + place["height"] / 2)
        page.mouse.click(place["x"] + 12, place["y"] + place["height"] / 2)
        expect(page.locator(".xterm-cursor-pointer")).to_have_count(0)
    expect(page.locator(".enable-mouse-events")).to_have_count(0)
    assert page.title() == title
    assert page.evaluate("navigator.clipboard.readText()") == "mine"
    assert len(page.context.pages) == 1
    assert complaints_of(page) == []


def test_colours_are_drawn_under_the_policy(visit: Visit) -> None:
    """The terminal's own styles carry the nonce: palette colours and true colours reach the screen."""
    page = visit("/jobs/attack")
    start_and_wait(page)
    colour = "element => getComputedStyle(element).color"
    red = page.locator(".xterm-rows span", has_text="red").last.evaluate(colour)
    orange = page.locator(".xterm-rows span", has_text="true colour").last.evaluate(colour)
    plain = page.locator(".xterm-rows > div", has_text="all printed").last.evaluate(colour)
    assert len({red, orange, plain}) == 3


@pytest.mark.parametrize("path", ["/", "/index", "/jobs/inputs", "/jobs/count", "/runs/unknown", "/nowhere", "/logout"])
def test_no_page_breaks_its_policy(visit: Visit, path: str) -> None:
    """The browser's console names no violation, nor any other error of ours."""
    page = visit(path)
    page.wait_for_load_state("networkidle")
    ours = [text for text in complaints_of(page) if "404 (NOT FOUND)" not in text]
    assert ours == []


def test_a_script_that_got_into_the_page_does_not_run(visit: Visit) -> None:
    """Inline scripts, handlers and styles without the nonce are refused."""
    page = visit("/jobs/count")
    page.evaluate(
        """() => {
            const script = document.createElement('script'); script.textContent = 'window.hacked = 1';
            const image = document.createElement('div');
            image.innerHTML = '<img src="data:," onerror="window.hacked = 2">';
            document.body.append(script, image);
        }"""
    )
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in text for text in complaints_of(page))


def test_logout_elsewhere_is_said_on_the_page(visit: Visit) -> None:
    """A page that is open when its session ends says so, and leads to a new login."""
    page = visit("/jobs/count")
    expect(page.locator("#connection")).to_have_text("Connected")
    page.evaluate("fetch('/logout')")
    expect(page.locator("#banner")).to_contain_text("logged out")
    expect(page.locator("#connection")).to_have_text("Logged out")
    href = page.locator("#banner-link").get_attribute("href")
    assert href == "/login?next=%2Fjobs%2Fcount"


def test_the_list_of_jobs_loads_no_terminal(visit: Visit) -> None:
    """Libraries come only where they are used."""
    page = visit("/")
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert loaded
    assert not [name for name in loaded if "vendor" in name and "socket.io-client" not in name]


def test_a_hostile_parameter_is_shown_as_text(visit: Visit) -> None:
    """What somebody typed comes back in the run's page as text."""
    page = visit("/jobs/inputs")
    page.fill("#p-text", "</script><img src=x onerror=\"document.title='hacked'\">")
    start_and_wait(page)
    page.click("#runs a")
    page.wait_for_selector("#log[data-status=succeeded]")
    assert "onerror" in page.locator(".params").inner_text()
    assert page.locator("main img").count() == 0
    assert "onerror" in shown(page)
    assert complaints_of(page) == []
