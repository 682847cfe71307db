"""The pages of channels in a real browser: picked, live, charted; and the published Oboe.js at the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.store.channels import CHANGES, VALUES
from tests.api import Api
from tests.e2e.conftest import complaints_of

Visit = Callable[..., Page]
# What comes every ten seconds, on a busy machine; in milliseconds.
SLOW = 30_000


@pytest.fixture
def setter(redis_client: Any, api: Api) -> Iterator[Callable[..., None]]:
    """A function that sets channels, of which there are none else."""
    redis_client.delete(VALUES, CHANGES)

    def set_(**values: Any) -> None:
        api.get("/channels", method="PATCH", json={"values": values})

    set_(X=1, Y=2, Z=3)
    yield set_
    redis_client.delete(VALUES, CHANGES)


def test_picked_channels_are_seen_live(visit: Visit, setter: Callable[..., None]) -> None:
    """From the header to the page; what is picked is shown with its changes, chart and range; the address keeps it."""
    page = visit("/")
    page.get_by_role("link", name="Channels", exact=True).click()
    expect(page.get_by_text("Pick some channels")).to_be_visible()
    page.get_by_label("X", exact=True).check()
    page.get_by_label("Z", exact=True).check()
    card = page.locator("[data-channel=X]")
    expect(card.locator(".value")).to_have_text("1")
    expect(page.locator("#connection")).to_have_text("Live")
    assert page.url.endswith("?channel=X&channel=Z")
    for value in (5, 80, 42):
        setter(X=value, Y=value)
        expect(card.locator(".value")).to_have_text(str(value))
    expect(card.locator(".range")).to_have_text("1 to 80 in 5 minutes")
    assert len((card.locator("polyline").get_attribute("points") or "").split()) >= 5
    expect(card.get_by_role("img")).to_be_visible()
    expect(page.locator("[data-channel=Y]")).to_have_count(0)
    page.reload()
    expect(card.locator(".value")).to_have_text("42")
    expect(card.locator(".range")).to_have_text("1 to 80 in 5 minutes")
    page.get_by_text("Pick channels").click()
    page.get_by_label("X", exact=True).uncheck()
    expect(card).to_have_count(0)
    expect(page.locator("[data-channel=Z] .value")).to_have_text("3")
    assert complaints_of(page) == []


def test_values_of_all_kinds_are_text(visit: Visit, setter: Callable[..., None]) -> None:
    """Texts, objects, nothing, markup: shown as they are, and a channel that goes says so."""
    setter(X="<b>bold</b><script>alert(1)</script>", new={"a": [1, None]}, Z=None)
    page = visit("/channels?channel=X&channel=new&channel=Z")
    expect(page.locator("[data-channel=X] .value")).to_have_text("<b>bold</b><script>alert(1)</script>")
    expect(page.locator("[data-channel=new] .value")).to_have_text('{"a":[1,null]}')
    expect(page.locator("[data-channel=Z] .value")).to_have_text("null")
    expect(page.locator("[data-channel=new] .chart")).to_be_hidden()
    page.evaluate("fetch('/api/v1.0/channels/Z', {method: 'DELETE'})")
    expect(page.locator("[data-channel=Z] .value")).to_have_text("deleted")
    assert complaints_of(page) == []


def test_new_channels_are_offered_and_found(visit: Visit, setter: Callable[..., None]) -> None:
    """One that comes while the page is open is offered; the filter finds it; all that are shown are picked at once."""
    page = visit("/channels")
    setter(oven=200, over=1)
    expect(page.get_by_label("oven", exact=True)).to_be_visible(timeout=SLOW)
    page.get_by_label("Find a channel").fill("OV")
    expect(page.get_by_label("X", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Pick all shown").click()
    expect(page.locator("[data-channel=oven] .value")).to_have_text("200")
    expect(page.locator("#picked")).to_have_text("2 picked")
    page.get_by_role("button", name="Pick none").click()
    expect(page.locator(".card")).to_have_count(0)
    assert complaints_of(page) == []


def test_an_ended_login_is_told(visit: Visit, setter: Callable[..., None]) -> None:
    """After a logout elsewhere the page says why nothing comes any more."""
    setter(X=9)
    page = visit("/channels?channel=X")
    expect(page.locator("#connection")).to_have_text("Live")
    page.evaluate("fetch('/logout', {method: 'POST'})")
    expect(page.locator("#problem")).to_have_text("Please log in.", timeout=SLOW)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit: Visit, setter: Callable[..., None], scheme: str) -> None:
    """Nothing is wider than the screen, also with long names and values."""
    setter(**{"a" * 100: 1, "long": "x" * 3000, "X": 10**15})
    path = "/channels?channel=X&channel=long&channel=" + "a" * 100
    page = visit(path, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    expect(page.locator("[data-channel=X] .value")).to_have_text(str(10**15))
    page.get_by_text("Pick channels").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.goto(page.url.partition("/channels")[0] + path.replace("/channels", "/channels/oboe"))
    expect(page.locator("#objects li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_oboe_reads_the_stream(visit: Visit, setter: Callable[..., None]) -> None:
    """The published Oboe.js has the values, each change, and silence, each as an object, under the page's policy."""
    page = visit("/channels/oboe?channel=X&channel=Y")
    objects = page.locator("#objects li")
    expect(objects).to_have_text(['{"X":1,"Y":2}'])
    setter(X=21, Z=4)
    setter(Y=68)
    expect(objects).to_have_text(['{"Y":68}', '{"X":21}', '{"X":1,"Y":2}'])
    expect(objects.first).to_have_text('{"Updates":false}', timeout=SLOW)
    assert complaints_of(page) == []
    page.goto(page.url.replace("channel=Y", "channel=nope"))
    expect(page.locator("#problem")).to_have_text("There is no channel nope.")
