"""Reading back on the page: search over all of the output, what has left the window, the menu of downloads."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import complaints_of, shown, start_and_wait

Visit = Callable[..., Page]
PHONE = {"width": 360, "height": 740}


def _long_run(visit: Visit, count: int = 60_000, **options: object) -> Page:
    """A page with a run whose beginning has left the window."""
    page = visit("/jobs/lines", **options)
    page.fill("#p-count", str(count))
    start_and_wait(page)
    return page


def _search(page: Page, query: str) -> None:
    if page.locator("#search").is_hidden():
        page.click("#find")
    page.fill("#query", query)


def test_search_finds_what_has_left_the_window(visit: Visit) -> None:
    """A match far before the window is counted and shown with what is around it; a button leads back to the end."""
    page = _long_run(visit)
    assert "59999" in shown(page)
    _search(page, "1234")
    expect(page.locator("#matches")).to_have_text("1 of 16")
    expect(page.locator("#log")).to_have_attribute("data-part", "past")
    lines = [int(line) for line in shown(page).split()]
    assert 1234 in lines
    assert lines == list(range(lines[0], lines[0] + len(lines)))
    page.keyboard.press("Enter")
    expect(page.locator("#matches")).to_have_text("2 of 16")
    expect(page.locator("#log .xterm-rows")).to_contain_text("11234")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#matches")).to_have_text("16 of 16")
    expect(page.locator("#follow")).to_be_visible()
    page.click("#follow")
    expect(page.locator("#log")).to_have_attribute("data-part", "end")
    expect(page.locator("#log .xterm-rows")).to_contain_text("59999")
    expect(page.locator("#follow")).to_be_hidden()
    # Who leaves a part before it has come is told of no failure.
    expect(page.locator("#part-error")).to_be_hidden()
    assert complaints_of(page) == []


def test_a_match_that_is_there_is_only_scrolled_to(visit: Visit) -> None:
    """What the terminal holds is shown where it is; the live end stays."""
    page = _long_run(visit, 3000)
    _search(page, "1234")
    expect(page.locator("#matches")).to_have_text("1 of 1")
    assert "1234" in shown(page)
    expect(page.locator("#log")).to_have_attribute("data-part", "end")


def test_case_and_regular_expressions(visit: Visit) -> None:
    """Two switches choose how to match; a wrong expression is explained, and nothing is lost by it."""
    page = visit("/jobs/coloured")
    page.fill("#p-count", "300")
    start_and_wait(page)
    _search(page, "WORD 7 done")
    expect(page.locator("#matches")).to_have_text("1 of 1")
    page.get_by_role("button", name="Match case").click()
    expect(page.locator("#matches")).to_have_text("Not in the output")
    page.get_by_role("button", name="Regular expression").click()
    page.fill("#query", r"^a word \d7 done$")
    expect(page.locator("#matches")).to_have_text("1 of 9")
    assert "word 17 done" in shown(page)
    page.fill("#query", "(a")
    expect(page.locator("#matches")).to_contain_text("no regular expression")
    expect(page.locator("#query")).to_have_attribute("aria-invalid", "true")
    page.fill("#query", "29[0-9]")
    expect(page.locator("#matches")).to_have_text("1 of 10")
    assert complaints_of(page) == []


def test_a_search_goes_on_as_the_run_does(visit: Visit) -> None:
    """During the run a search finds what there is, and one step more what has come since."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "100000")
    page.fill("#p-pause", "0.005")
    page.click("#start")
    page.wait_for_selector("#log[data-status=running]")
    page.wait_for_timeout(300)
    _search(page, "0")
    # Not "200+", after which it goes on searching.
    expect(page.locator("#matches")).to_have_text(re.compile(r"^1 of \d+$"))
    before = int(page.inner_text("#matches").split()[-1])
    page.wait_for_timeout(500)
    for _ in range(before):
        page.keyboard.press("Enter")
    expect(page.locator("#matches")).not_to_have_text(re.compile(rf"of {before}(?!\d)"))
    page.click("#stop")
    page.wait_for_selector("#log[data-status=stopped]")


def test_older_and_newer_output_is_loaded_step_by_step(visit: Visit) -> None:
    """A long run opens at its end; older output is loaded part by part, and newer likewise, without a gap."""
    page = _long_run(visit, 30_000)
    page.reload()
    page.wait_for_selector("#log[data-status=succeeded]")
    assert "29999" in shown(page)
    older = page.get_by_role("button", name="Load older output")
    expect(older).to_be_visible()
    page.focus(".xterm-helper-textarea")
    page.keyboard.press("Home")
    edge = int(shown(page).split()[0])
    assert 19_000 < edge < 21_000
    seen = edge
    for _ in range(12):
        older.focus()
        page.keyboard.press("Enter")
        # The window's first line is another one as soon as the part is there.
        expect(page.locator("#log .xterm-rows > div").first).not_to_have_text(str(seen))
        lines = [int(line) for line in shown(page).split()]
        assert lines == list(range(lines[0], lines[0] + len(lines)))
        assert lines[0] <= seen <= lines[-1]
        page.focus(".xterm-helper-textarea")
        page.keyboard.press("Home")
        seen = int(shown(page).split()[0])
        if seen == 0:
            break
    assert seen == 0
    expect(older).to_be_hidden()
    expect(page.get_by_text("The output begins here.")).to_be_visible()
    newer = page.get_by_role("button", name="Load newer output")
    page.keyboard.press("End")
    last = int(shown(page).split()[-1])
    newer.click()
    page.wait_for_timeout(1000)
    assert last in [int(line) for line in shown(page).split()]
    page.keyboard.press("End")
    page.click("#follow")
    expect(page.locator("#log .xterm-rows")).to_contain_text("29999")
    assert complaints_of(page) == []


def test_a_line_longer_than_the_window_is_shown(visit: Visit) -> None:
    """A match in a huge line is found, and the page survives it."""
    page = visit("/jobs/huge")
    page.fill("#p-size", "3000000")
    start_and_wait(page)
    _search(page, "xxx")
    expect(page.locator("#matches")).to_contain_text("1 of")
    assert "xxx" in shown(page)
    assert complaints_of(page) == []


def test_looking_back_does_not_hide_the_end_of_the_run(visit: Visit) -> None:
    """While the past is shown the run goes on; its status is told, and the way back shows its last line."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "30000")
    page.fill("#p-pause", "0.0001")
    page.click("#start")
    page.wait_for_selector("#log[data-status=running]")
    page.wait_for_selector("#older:not([hidden])")
    _search(page, "100")
    expect(page.locator("#log")).to_have_attribute("data-part", "past")
    page.wait_for_timeout(500)
    before = shown(page)
    page.wait_for_selector("#log[data-status=succeeded]", timeout=60_000)
    assert shown(page) == before
    page.click("#follow")
    expect(page.locator("#log .xterm-rows")).to_contain_text("29999")


def test_the_menu_of_downloads(visit: Visit) -> None:
    """By keyboard: text without colours, exact bytes, gzip; Escape closes it."""
    page = visit("/jobs/coloured")
    page.fill("#p-count", "100")
    start_and_wait(page)
    contents: list[bytes] = []
    for name in ("Text without colours", "Exact bytes", "gzip"):
        page.focus("#download")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Exact bytes")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name=name).first.click()
        contents.append(Path(download.value.path()).read_bytes())
    assert contents[0] == b"".join(b"a word %d done\n" % number for number in range(100))
    assert b"\x1b[1;31m" in contents[1]
    assert gzip.decompress(contents[2]) == contents[1]
    page.focus("#download")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Exact bytes")).to_be_hidden()
    expect(page.locator("#download")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_phone_has_all_of_it(visit: Visit, scheme: str) -> None:
    """At 360 pixels search, its switches, the notes and the menu fit, in either scheme."""
    page = _long_run(visit, 12_000, viewport=PHONE, color_scheme=scheme)
    _search(page, "11")
    expect(page.locator("#matches")).to_contain_text("1 of")
    expect(page.locator("#load-newer")).to_be_visible()
    page.click("#download")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for selector in (
        "#query",
        "#match-case",
        "#match-pattern",
        "#previous",
        "#close-search",
        "#load-newer",
        "#download",
    ):
        box = page.locator(selector).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
