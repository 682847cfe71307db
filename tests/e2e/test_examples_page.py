"""The examples' page in a real browser: both views greet it over its websocket while they answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import complaints_of

Visit = Callable[..., Page]


@pytest.mark.parametrize(
    ("view", "greetings"),
    [("Plain view", ["Hello from view!"]), ("Streamed view", ["Hello from view!", "Hello from iterator!"])],
)
def test_a_page_is_greeted_and_answers(visit: Visit, view: str, greetings: list[str]) -> None:
    """What the view says comes over the websocket, and what the page says to that is in the answer."""
    page = visit("/examples/")
    expect(page.locator("#connection")).to_have_text("Connected")
    page.get_by_label("Your answer to greetings").fill("Hej <b>då</b>")
    for _ in range(2):
        page.get_by_role("button", name=view).click()
        expect(page.get_by_role("button", name=view)).to_be_enabled()
        expect(page.locator("#greetings li")).to_have_text(greetings)
        expect(page.locator("#answer")).to_contain_text(f"Hello from a {view.lower()}.")
    assert page.locator("#answer").inner_text().count("The answer was: Hej <b>då</b>") == len(greetings)
    assert complaints_of(page) == []


def test_the_page_fits_a_phone(visit: Visit) -> None:
    """Nothing is wider than the screen."""
    page = visit("/examples/", viewport={"width": 360, "height": 740})
    page.get_by_role("button", name="Streamed view").click()
    expect(page.locator("#answer")).to_contain_text("hello again")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
