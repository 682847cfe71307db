"""The Console's editor: nothing typed is lost, and all of it is reached by keyboard and finger."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.code_page import code_of, ready, row, run, type_code, wait_for, wait_for_text
from tests.e2e.conftest import complaints_of, shown

Visit = Callable[..., Page]


def test_edit_and_run_again_keeps_what_was_there(visit: Visit) -> None:
    """A run's code comes back into the editor; what it replaces is undone by undo and stays among the drafts."""
    page = visit("/code")
    run(page, "first = 1\nfirst\n")
    run(page, "second = 2\nsecond\n")
    type_code(page, "unsaved = 'never run'\n")
    row(page, "first = 1").get_by_text("Edit and run again").click()
    expect(page.locator(".cm-line").first).to_have_text("first = 1")
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+Z")
    expect(page.locator(".cm-line").first).to_have_text("unsaved = 'never run'")
    page.keyboard.press("Control+Y")
    ready(page)
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("first + 10\n")
    page.keyboard.press("Control+Enter")
    wait_for_text(page, "11")
    wait_for(page, "succeeded")
    page.get_by_text("Drafts").click()
    # What ran is in the list of runs, and no draft.
    expect(page.locator("#drafts li")).to_have_count(1)
    page.locator("#drafts button", has_text="unsaved = 'never run'").click()
    expect(page.locator(".cm-line").first).to_have_text("unsaved = 'never run'")


def test_a_reload_keeps_buffer_and_outputs(visit: Visit) -> None:
    """What was typed and not run is there after a reload, with the output of the run that was shown, and its mark."""
    page = visit("/code")
    run(page, "print('kept output')\n1 / 0\n", "failed")
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text("# typed and not run\n")
    page.reload()
    wait_for(page, "failed")
    assert code_of(page).startswith("# typed and not run\nprint('kept output')")
    assert "kept output" in shown(page)
    # The editor has other code now than what ran: its line brings that code back, and loses nothing.
    page.get_by_role("button", name="Line 2").click()
    expect(page.locator(".cm-line.cm-activeLine")).to_have_text("1 / 0")
    assert code_of(page).startswith("print('kept output')")
    page.get_by_text("Drafts").click()
    expect(page.locator("#drafts li")).to_contain_text(["print('kept output')"])
    page.reload()
    wait_for(page, "failed")
    expect(page.locator(".cm-line.cm-error-line")).to_have_text("1 / 0")


def test_two_tabs_do_not_write_over_each_other(visit: Visit) -> None:
    """Each tab has a buffer of its own; what one typed last is what a third begins with."""
    page = visit("/code")
    type_code(page, "one = 1\n")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".cm-line").first).to_have_text("one = 1")
    type_code(other, "two = 2\n")
    page.reload()
    expect(page.locator(".cm-line").first).to_have_text("one = 1")
    other.reload()
    expect(other.locator(".cm-line").first).to_have_text("two = 2")
    # A tab that was duplicated has the other's name.
    name = page.evaluate("sessionStorage['console-tab']")
    other.evaluate("name => sessionStorage.setItem('console-tab', name)", name)
    other.reload()
    expect(other.locator(".cm-line").first).to_have_text("one = 1")
    type_code(other, "copy = 3\n")
    # Browsers tell other tabs of it a moment later.
    page.wait_for_function("name => sessionStorage['console-tab'] !== name", arg=name)
    page.reload()
    expect(page.locator(".cm-line").first).to_have_text("one = 1")
    other.reload()
    expect(other.locator(".cm-line").first).to_have_text("copy = 3")


def test_names_complete_brackets_match_and_lines_indent(visit: Visit) -> None:
    """A name of the buffer is offered and taken; a new line after a colon is indented; Tab indents."""
    page = visit("/code")
    type_code(page, "measurement_count = 3\n")
    page.keyboard.type("if measure")
    expect(page.locator(".cm-tooltip-autocomplete li").first).to_contain_text("measurement_count")
    page.wait_for_timeout(200)  # CodeMirror takes no choice in the moment in which its list opens
    page.keyboard.press("Enter")
    page.keyboard.type(" > 2:")
    page.keyboard.press("Enter")
    page.keyboard.type("print((1))")
    assert code_of(page) == "measurement_count = 3\nif measurement_count > 2:\n    print((1))"
    expect(page.locator(".cm-matchingBracket").first).to_be_visible()
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    assert code_of(page).endswith("\n        print((1))")
    assert page.locator(".tok-keyword", has_text="if").count() == 1
    assert complaints_of(page) == []


def test_all_of_it_by_the_keyboard(visit: Visit) -> None:
    """From the address bar on: into the editor, run, out again by Esc and Tab, to a line of the traceback and back."""
    page = visit("/code")
    ready(page)
    page.evaluate("document.activeElement.blur()")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className").startswith("cm-content"):
            break
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("1 / 0")
    page.keyboard.press("Tab")
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+Enter")
    wait_for(page, "failed")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator("#start")).to_be_focused()
    reached: list[str] = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        if reached[-1] == "Line 1":
            break
    assert {"clear", "find", "download"} < set(reached)
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+M")
    page.keyboard.press("Tab")
    expect(page.locator("#start")).to_be_focused()


def test_a_phone_shows_it_all_in_one_column(visit: Visit) -> None:
    """At 360 pixels nothing is wider than the page, and a tap runs the code."""
    page = visit("/code", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    ready(page)
    type_code(page, "long = '" + "x" * 300 + "'\nlong\n")
    page.tap("#start")
    wait_for(page, "succeeded")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator("#log")).to_be_in_viewport()
    assert complaints_of(page) == []


def test_nothing_to_run_and_too_much_to_run_is_said(visit: Visit) -> None:
    """An empty editor starts nothing and says so, and so does one with more code than a run may have."""
    page = visit("/code")
    ready(page)
    type_code(page, "  \n")
    page.click("#start")
    expect(page.locator("#form-error")).to_have_text("There is no code to run yet.")
    type_code(page, "#" * 100_001)
    page.click("#start")
    expect(page.locator("#form-error")).to_contain_text("too much code")
    expect(page).to_have_url(re.compile("/code$"))


def test_the_editor_comes_with_its_page_alone(visit: Visit) -> None:
    """A job's page loads nothing of CodeMirror."""
    page = visit("/jobs/lines")
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert [name for name in loaded if "xterm" in name]
    assert not [name for name in loaded if "codemirror" in name or "code" in name.rpartition("/")[2]]
