"""A job's form, as people fill it in."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.e2e.conftest import complaints_of, shown, start_and_wait

Visit = Callable[..., Page]

TYPES = {
    "text": "text",
    "limit": "number",
    "share": "number",
    "really": "checkbox",
    "mode": "select-one",
    "colour": "select-one",
    "day": "date",
    "moment": "datetime-local",
    "zoned": "datetime-local",
    "clock": "time",
    "maybe": "number",
    "sure": "select-one",
    "price": "text",
    "note": "textarea",
}
DEFAULTS = """limit=5;
share=0.5;
really=True;
mode='slow';
colour=<Colour.GREEN: 'green'>;
day=datetime.date(2026, 1, 31);
moment=datetime.datetime(2026, 1, 31, 12, 30, 15);
zoned=datetime.datetime(2026, 1, 31, 12, 30, tzinfo=TzInfo(0));
clock=datetime.time(8, 15);
maybe=None;
sure=None;
price=Decimal('1.50');
numbers=[1, 2];
names=None;
note='two\\nlines';"""


def test_each_parameter_has_the_input_of_its_type(visit: Visit) -> None:
    """Numbers, choices, dates and the rest get the input that fits, each named by a label."""
    page = visit("/jobs/inputs")
    kinds = {name: page.locator(f"#p-{name}").evaluate("input => input.type") for name in TYPES}
    assert kinds == TYPES
    expect(page.get_by_label("Limit", exact=True)).to_have_accessible_description("From 1 to 10.")
    expect(page.locator("[data-field=text] .mark")).to_have_text("required")
    expect(page.locator("[data-field=maybe] .mark")).to_have_text("optional")
    expect(page.get_by_role("group", name="Numbers").get_by_role("spinbutton")).to_have_count(2)


def test_what_the_form_starts_with_are_the_defaults(visit: Visit) -> None:
    """Untouched inputs give the function exactly its defaults, in whichever zone the viewer lives."""
    page = visit("/jobs/inputs", timezone_id="Asia/Kolkata")
    expect(page.locator("#p-zoned")).to_have_value("2026-01-31T18:00")
    page.fill("#p-text", "héllo <b>")
    lines = start_and_wait(page).strip().splitlines()
    assert [line.strip() for line in lines] == ["text='héllo <b>';", *DEFAULTS.splitlines()]


def test_what_is_typed_reaches_the_function(visit: Visit) -> None:
    """Values of each kind arrive as the type that the signature asks for."""
    page = visit("/jobs/inputs")
    for name, value in {"text": "a", "limit": "7", "share": "1e3", "day": "2027-02-03", "price": "0.10"}.items():
        page.fill(f"#p-{name}", value)
    page.fill("#p-clock", "23:59")
    page.fill("#p-maybe", "0")
    page.uncheck("#p-really")
    page.select_option("#p-mode", label="3")
    page.select_option("#p-colour", label="red")
    page.select_option("#p-sure", label="No")
    page.get_by_role("group", name="Numbers").get_by_role("button", name="Remove").first.click()
    page.get_by_role("group", name="Names").get_by_role("button", name="Add an entry").click()
    page.keyboard.type("Ann")
    text = start_and_wait(page)
    expected = ["limit=7;", "share=1000.0;", "really=False;", "mode=3;", "maybe=0;", "sure=False;", "numbers=[2];"]
    expected += ["names=['Ann'];", "colour=<Colour.RED", "day=datetime.date(2027, 2, 3)"]
    expected += ["clock=datetime.time(23, 59)", "price=Decimal('0.10')"]
    assert [each for each in expected if each not in text] == []


def test_errors_come_back_beside_their_fields(visit: Visit) -> None:
    """Each wrong field says why, is marked for screen readers, and the first one has the focus; nothing is started."""
    page = visit("/jobs/inputs")
    page.fill("#p-limit", "99")
    page.fill("#p-price", "cheap")
    page.fill("#p-numbers-1", "")
    page.click("#start")
    expect(page.locator("#p-text")).to_be_focused()
    expect(page.locator("#p-text")).to_have_accessible_description("A value is needed.")
    for name in ("limit", "price"):
        expect(page.locator(f"#p-{name}")).to_have_attribute("aria-invalid", "true")
        expect(page.locator(f"#e-{name}")).to_be_visible()
    expect(page.locator("#e-numbers")).to_contain_text("Item 2")
    expect(page.locator("#p-numbers-1")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#p-numbers-0")).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#start")).to_be_enabled()
    assert "run=" not in page.url
    page.fill("#p-limit", "9")
    expect(page.locator("#e-limit")).to_be_hidden()
    assert complaints_of(page) == []


def test_an_input_that_holds_no_number_is_said_beside_it(visit: Visit) -> None:
    """What a browser will not hand over as a number is not sent as an empty one."""
    page = visit("/jobs/inputs")
    page.fill("#p-text", "a")
    page.focus("#p-limit")
    page.keyboard.press("Control+A")
    page.keyboard.type("1e")
    page.click("#start")
    expect(page.locator("#p-limit")).to_be_focused()
    expect(page.locator("#e-limit")).to_be_visible()
    assert "run=" not in page.url


def test_control_enter_starts(visit: Visit) -> None:
    """Ctrl+Enter starts from everywhere in the form, also from a text of several lines."""
    page = visit("/jobs/inputs")
    page.fill("#p-text", "by keyboard")
    page.focus("#p-note")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#log[data-status=succeeded]")
    assert "text='by keyboard'" in shown(page)


def test_two_clicks_are_one_run(visit: Visit) -> None:
    """A double click starts one run."""
    # Somebody whose list of runs is not full.
    page = visit("/jobs/lines?x=1", user=1)
    page.fill("#p-count", "50")
    page.fill("#p-pause", "0.02")
    before = page.locator("#runs li").count()
    page.locator("#start").dblclick()
    page.wait_for_selector("#log[data-status=succeeded]")
    page.reload()
    expect(page.locator("#runs li")).to_have_count(before + 1)


def test_a_second_run_beside_one_under_way(visit: Visit) -> None:
    """Start another shows the new run; the first goes on, and is one click away."""
    page = visit("/jobs/sleeper")
    page.click("#start")
    expect(page.locator("#log")).to_have_attribute("data-status", "running")
    first = page.url
    page.get_by_role("button", name="Start another").click()
    page.wait_for_url(lambda url: url != first)
    running = page.locator("#runs li", has_text="running")
    expect(running).to_have_count(2)
    page.click("#stop")
    expect(running).to_have_count(1)
    page.goto(first)
    page.click("#stop")
    expect(page.locator("#log")).to_have_attribute("data-status", "stopped")


def test_start_again_fills_in_the_earlier_parameters(visit: Visit) -> None:
    """A run's page leads back to the form, with what it was started with."""
    page = visit("/jobs/inputs")
    page.fill("#p-text", "again and again")
    page.select_option("#p-colour", label="red")
    page.get_by_role("group", name="Numbers").get_by_role("button", name="Add an entry").click()
    page.keyboard.type("77")
    start_and_wait(page)
    run = parse_qs(urlsplit(page.url).query)["run"][0]
    page.goto(page.url.split("/jobs/")[0] + f"/runs/{run}")
    page.wait_for_selector("#log[data-status=succeeded]")
    assert "again and again" in page.locator(".params").inner_text()
    page.click("#again")
    expect(page.locator("#p-text")).to_have_value("again and again")
    expect(page.locator("#p-numbers-2")).to_have_value("77")
    assert "numbers=[1, 2, 77]" in start_and_wait(page)
