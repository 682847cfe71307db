"""The page by keyboard, on a phone, and in its states."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import complaints_of, shown, start_and_wait
from tests.serving import Server

Visit = Callable[..., Page]
PHONE = {"width": 390, "height": 844}
MOST_TABS = 200


@pytest.mark.parametrize("path", ["/", "/jobs/inputs", "/jobs/attack", "/nowhere"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_one_way_only(visit: Visit, path: str, scheme: str) -> None:
    """Nothing is wider than 390 pixels, also with output, and the text contrasts with its ground."""
    page = visit(path, viewport=PHONE, color_scheme=scheme)
    if path == "/jobs/attack":
        start_and_wait(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(each => each < 60)")
    assert dark is (scheme == "dark")


@pytest.mark.parametrize(("width", "lines"), [(1280, 1), (1024, 2), (800, 2), (641, 3), (400, 4), (360, 4)])
def test_the_header_has_few_lines_at_any_width(visit: Visit, width: int, lines: int) -> None:
    """Links, the system's state and who is logged in stay in whole words, whatever the width."""
    page = visit("/", viewport={"width": width, "height": 800})
    expect(page.locator("#system")).to_be_visible()
    assert page.evaluate("document.querySelector('.top').offsetHeight") <= 30 + 32 * lines
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_is_reached_by_tab_and_nothing_holds_it(visit: Visit) -> None:
    """Tab goes through form, buttons, search and terminal, and on; the terminal scrolls by keys."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "500")
    start_and_wait(page)
    page.focus(".skip")
    reached: list[str] = []
    # As many as the page has, which shows earlier runs too; then it begins again.
    while len(reached) < MOST_TABS and reached[-1:] != ["skip"]:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    for wanted in ("skip", "brand", "logout", "p-count", "start", "clear", "find", "download", "speak"):
        assert wanted in reached
    terminal = next(index for index, name in enumerate(reached) if "xterm-helper-textarea" in name)
    assert "xterm" not in reached[terminal + 1]
    assert "0499" in shown(page).replace("499", "0499")
    page.focus(".xterm-helper-textarea")
    page.keyboard.press("Home")
    assert shown(page).strip().startswith("0\n1\n2")
    expect(page.locator("#follow")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#follow")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#follow")).to_be_hidden()
    assert "499" in shown(page)


def test_reading_further_up_is_not_disturbed(visit: Visit) -> None:
    """Output that comes while one reads above does not move what one reads; a button leads back to the end."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "400")
    page.fill("#p-pause", "0.01")
    page.click("#start")
    expect(page.locator("#log")).to_have_attribute("data-position", re.compile(r"\d{3,}"))
    page.focus(".xterm-helper-textarea")
    page.keyboard.press("Home")
    before = shown(page)
    page.wait_for_selector("#log[data-status=succeeded]")
    assert shown(page) == before
    page.click("#follow")
    assert "399" in shown(page)


def test_search_finds_lines_far_up(visit: Visit) -> None:
    """The search box is opened by Ctrl+F in the terminal, counts matches and shows them."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "3000")
    start_and_wait(page)
    page.focus(".xterm-helper-textarea")
    page.keyboard.press("Control+F")
    expect(page.locator("#query")).to_be_focused()
    page.keyboard.type("1234")
    expect(page.locator("#matches")).to_have_text("1 of 1")
    assert "1234" in shown(page)
    page.fill("#query", "no such line")
    expect(page.locator("#matches")).to_have_text("Not in the output")
    page.keyboard.press("Escape")
    expect(page.locator("#search")).to_be_hidden()


def test_what_left_the_window_is_said(visit: Visit) -> None:
    """The terminal holds 10,000 lines; beyond that the page says so, and the download has all of them."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "12000")
    expect(page.locator("#older")).to_be_hidden()
    start_and_wait(page)
    expect(page.locator("#older")).to_be_visible()
    page.click("#download")
    with page.expect_download() as download:
        page.get_by_role("link", name="Exact bytes").first.click()
    content = Path(download.value.path()).read_bytes()
    assert content == b"".join(b"%d\n" % number for number in range(12_000))


def test_states_are_words(visit: Visit) -> None:
    """Never run, running, failed with its exit code: each is said in words, and Start and Stop follow."""
    page = visit("/jobs/ends?again=")
    expect(page.locator("#status")).to_have_text("not started")
    expect(page.locator("#stop")).to_be_disabled()
    page.fill("#p-how", "exit 3")
    start_and_wait(page, "failed")
    expect(page.locator("#status")).to_have_text("failed")
    expect(page.locator("#exit")).to_have_text("exit code 3")
    expect(page.locator("#runs li").first).to_contain_text("failed")
    page.goto(page.url.split("?")[0].replace("ends", "sleeper"))
    page.click("#start")
    expect(page.locator("#status")).to_have_text("running")
    expect(page.locator("#start")).to_have_text("Start another")
    page.click("#stop")
    expect(page.locator("#status")).to_have_text("stopped")
    expect(page.locator("#start")).to_have_text("Start")
    expect(page.locator("#start")).to_be_enabled()


def test_a_lost_connection_is_said_and_made_up_for(visit: Visit) -> None:
    """While the network is away the page says since when; after that every line is there once, in order."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "100")
    page.fill("#p-pause", "0.03")
    page.click("#start")
    expect(page.locator("#log")).to_have_attribute("data-position", re.compile(r"\d{2,}"))
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("Reconnecting since")
    page.wait_for_timeout(1000)
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_have_text("Connected")
    page.wait_for_selector("#log[data-status=succeeded]")
    page.focus(".xterm-helper-textarea")
    numbers = [int(line) for line in shown(page).split()]
    assert numbers == list(range(numbers[0], 100))
    page.keyboard.press("Home")
    numbers = [int(line) for line in shown(page).split()]
    assert numbers == list(range(len(numbers)))


def test_clear_empties_the_window_only(visit: Visit) -> None:
    """Clear takes nothing from the output: a reload shows it again."""
    page = visit("/jobs/lines")
    assert "9" in start_and_wait(page)
    page.click("#clear")
    expect(page.locator("#log .xterm-rows")).to_have_text("")
    page.reload()
    page.wait_for_selector("#log[data-status=succeeded]")
    assert "9" in shown(page)


def test_jobs_are_found_by_their_words(visit: Visit) -> None:
    """The list narrows as one types, and says where nothing fits."""
    page = visit("/")
    page.fill("#filter", "every input")
    expect(page.locator("#jobs li:visible")).to_have_count(1)
    page.fill("#filter", "no such thing")
    expect(page.locator("#no-match")).to_be_visible()


def test_times_are_the_viewers(visit: Visit) -> None:
    """Times are shown in the zone of the browser, not of the server."""
    page = visit("/jobs/silent", timezone_id="Pacific/Kiritimati")
    start_and_wait(page)
    page.click("#runs a")
    time = page.locator(".intro time")
    moment = time.get_attribute("datetime")
    expect(time).to_have_attribute("title", page.evaluate(
        "moment => new Intl.DateTimeFormat(undefined, {dateStyle: 'full', timeStyle: 'long'}).format(new Date(moment))",
        moment,
    ))  # fmt: skip


def test_a_broken_job_file_is_shown_and_harms_no_other(
    visit: Visit, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    """Its error is in the list and on its own page; the other jobs can be started."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    (folder / "well.py").write_text(
        "from app.catalog import job\n@job\ndef well():\n    '''Works.'''\n    print('fine')\n"
    )
    server = start_server(JOBS=str(folder))
    page = visit("/", url=server.url)
    page.click("text=nothing_of_that_name")
    expect(page.locator("[role=alert]")).to_contain_text("nothing_of_that_name")
    expect(page.locator("#start")).to_have_count(0)
    page.goto(server.url + "/jobs/well")
    assert "fine" in start_and_wait(page)
    assert complaints_of(page) == []
