"""The Console page: code is typed, run, corrected and run again, several at a time; nothing typed is lost."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import complaints_of, shown
from tests.serving import Server

Visit = Callable[..., Page]
MINUTE = 60_000.0


def type_code(page: Page, code: str) -> None:
    """Replace what the editor has, as somebody who pastes."""
    page.click(".cm-content")
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
    page.wait_for_selector("#start:enabled:not([aria-disabled=true])")


def wait_for_text(page: Page, text: str) -> None:
    """Wait until the terminal shows this."""
    expect(page.locator("#log .xterm-rows")).to_contain_text(text, timeout=MINUTE)


def row(page: Page, words: str) -> Locator:
    """The newest row of the list of runs whose code begins so."""
    return page.locator("#runs > li", has_text=words).first


def test_typed_code_runs_and_its_last_value_is_shown(visit: Visit) -> None:
    """The example of an empty page runs at the press of a button; what is printed and the last value appear."""
    page = visit("/code")
    assert "mean(temperatures)" in code_of(page)
    page.click("#start")
    wait_for(page, "succeeded")
    assert "Day 3: 19.2" in shown(page)
    assert "19.56" in shown(page)
    text = run(page, "word = 'péché 😀'\nprint('printed')\nword.upper()\n")
    assert "printed\n'PÉCHÉ 😀'" in text
    expect(row(page, "word = 'péché")).to_have_attribute("data-shown", "")
    assert complaints_of(page) == []


def test_lines_of_a_traceback_lead_to_the_editor(visit: Visit) -> None:
    """The line that failed is marked, and both the button and the traceback's own line go to the editor's line."""
    page = visit("/code")
    text = run(page, "def half(n):\n    return n / 0\n\nprint('begins')\nhalf(3)\n", "failed")
    assert 'File "<editor>", line 5' in text
    expect(page.locator("#frames")).to_contain_text("ZeroDivisionError: division by zero")
    expect(page.locator(".cm-line.cm-error-line")).to_have_text("    return n / 0")
    page.get_by_role("button", name="Line 5").press("Enter")
    expect(page.locator(".cm-content")).to_be_focused()
    expect(page.locator(".cm-line.cm-activeLine")).to_have_text("half(3)")
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text("# one more line\n")
    place = page.locator("#log .xterm-rows > div", has_text="line 2, in half").bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + 60, place["y"] + place["height"] / 2)
    page.mouse.move(place["x"] + 70, place["y"] + place["height"] / 2)
    page.wait_for_selector(".xterm-cursor-pointer")
    page.mouse.click(place["x"] + 70, place["y"] + place["height"] / 2)
    expect(page.locator(".cm-line.cm-activeLine")).to_have_text("    return n / 0")
    page.keyboard.press("End")
    page.keyboard.insert_text("  # corrected")
    expect(page.locator(".cm-error-line")).to_have_count(0)
    assert complaints_of(page) == []


def test_a_mistake_in_the_grammar_is_marked_too(visit: Visit) -> None:
    """Code that cannot be compiled fails with its line."""
    page = visit("/code")
    text = run(page, "print('never')\nif True\n    pass\n", "failed")
    assert "SyntaxError" in text
    assert "never\n" not in text.replace("'never'", "")
    expect(page.locator(".cm-line.cm-error-line")).to_have_text("if True")


def test_two_run_at_once_each_with_its_output(visit: Visit) -> None:
    """A second run starts beside the first; the list leads from one output to the other, and both end."""
    page = visit("/code")
    code = "import time\nfor number in range({}):\n    print('{}', number)\n    time.sleep(0.1)\n"
    ready(page)
    type_code(page, "# slow\n" + code.format(80, "slow"))
    page.keyboard.press("Control+Enter")
    wait_for(page, "running")
    page.wait_for_timeout(1000)
    text = run(page, "# quick\nname = 'quick'\n" + code.format(3, "quick"))
    assert "quick 2" in text
    assert "slow" not in text
    slow = row(page, "import time")
    expect(slow.locator(".status")).to_have_attribute("data-status", "running")
    slow.locator("a").first.click()
    wait_for(page, "running")
    assert shown(page).startswith("slow 0\nslow 1\n")
    row(page, "name = 'quick'").locator("a").first.click()
    wait_for(page, "succeeded")
    assert "slow" not in shown(page)
    # Its end is told while the other one is shown.
    expect(slow.locator(".status")).to_have_attribute("data-status", "succeeded", timeout=MINUTE)
    assert complaints_of(page) == []


def test_input_asks_on_the_page(visit: Visit) -> None:
    """`input()` brings a box with its prompt, which takes the keyboard; a line is read, also the end of input."""
    page = visit("/code")
    ready(page)
    type_code(
        page,
        "name = input('Your name? ')\nprint(f'Hello, {name}.')\nother = input()\nprint([other])\n"
        "try:\n    input('No more: ')\nexcept EOFError:\n    print('the end')\n",
    )
    page.keyboard.press("Control+Enter")
    box = page.get_by_label("Your name?")
    expect(box).to_be_focused(timeout=MINUTE)
    page.keyboard.type("Zoë <b>")
    page.keyboard.press("Enter")
    wait_for_text(page, "Hello, Zoë <b>.")
    box = page.get_by_label("The code waits for a line of input")
    expect(box).to_be_focused(timeout=MINUTE)
    page.keyboard.press("Enter")
    wait_for_text(page, "['']")
    expect(page.get_by_label("No more:")).to_be_focused(timeout=MINUTE)
    page.keyboard.press("Control+D")
    wait_for(page, "succeeded")
    assert "the end" in shown(page)
    assert "Your name? Zoë <b>\nHello" in shown(page)
    expect(page.locator("#input-box")).to_be_hidden()
    assert complaints_of(page) == []


def test_a_run_that_waits_for_input_says_so_in_the_list(visit: Visit) -> None:
    """While another run is shown, the list tells which one waits for a line; a reload asks again."""
    page = visit("/code")
    ready(page)
    type_code(page, "answer = input('Well? ')\nprint('got', answer)\n")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_label("Well?")).to_be_focused(timeout=MINUTE)
    run(page, "'another one'\n")
    expect(page.locator("#input-box")).to_be_hidden()
    waiting = row(page, "answer = input")
    expect(waiting.get_by_text("waits for input")).to_be_visible()
    waiting.locator("a").first.click()
    expect(page.get_by_label("Well?")).to_be_visible()
    page.reload()
    page.get_by_label("Well?").fill("yes")
    page.get_by_role("button", name="Send").click()
    wait_for_text(page, "got yes")
    wait_for(page, "succeeded")


def test_escape_stops_an_endless_loop(visit: Visit) -> None:
    """Esc in the editor asks an endless loop to stop: it gets a KeyboardInterrupt and is stopped."""
    page = visit("/code")
    ready(page)
    type_code(page, "import time\nprint('begins')\nwhile True:\n    time.sleep(0.01)\n")
    page.keyboard.press("Control+Enter")
    wait_for_text(page, "begins")
    page.keyboard.press("Escape")
    wait_for(page, "stopped")
    assert "KeyboardInterrupt" in shown(page)


def test_what_ignores_signals_is_killed(visit: Visit) -> None:
    """Code that ignores SIGINT and SIGTERM is killed in the end, and the page says that it was."""
    page = visit("/code")
    ready(page)
    type_code(
        page,
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf')\nwhile True:\n    pass\n",
    )
    page.keyboard.press("Control+Enter")
    wait_for_text(page, "deaf")
    page.click("#stop")
    wait_for(page, "killed")
    expect(page.locator("#status")).to_have_text("killed")


def test_only_those_who_may_have_the_page(visit: Visit, start_server: Callable[..., Server]) -> None:
    """CODE_USERS names who may: others get no page, no link and no run, and read why; the old address leads here."""
    server = start_server(CODE_USERS="user1@example.com", HOST="127.0.0.1")
    page = visit("/jobs/code", url=server.url)
    expect(page).to_have_url(f"{server.url}/code")
    expect(page.get_by_role("link", name="Console")).to_have_attribute("aria-current", "page")
    page.goto(server.url)
    assert page.locator("#jobs a[href='/jobs/code']").count() == 0
    other = visit("/code", user=1, url=server.url)
    expect(other.get_by_text("You may not run typed code on this server.")).to_be_visible()
    assert other.locator("#editor").count() == 0
    other.goto(server.url)
    assert other.get_by_role("link", name="Console").count() == 0
    refused = server.page(server.log_in(1)).call("start_request", {"job": "code", "params": {"source": "1"}})
    assert refused["error"]["code"] == "forbidden"


def test_below_the_minimum_nothing_runs_and_the_page_says_why(
    visit: Visit, start_server: Callable[..., Server]
) -> None:
    """Where the sandbox is weaker than SANDBOX_MINIMUM asks for, Run stays shut and a sentence says what to do."""
    server = start_server(SANDBOX="limits", SANDBOX_MINIMUM="full")
    page = visit("/code", url=server.url)
    for _ in range(60):
        if page.locator("#refusal").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.locator("#refusal")).to_contain_text("SANDBOX_MINIMUM")
    expect(page.locator("#start")).to_be_disabled()
    page.click(".cm-content")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#status")).to_have_text("not started")


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


def test_hostile_output_makes_no_line_of_the_page(visit: Visit) -> None:
    """Output that looks like a traceback is text and a number, whatever stands in it."""
    page = visit("/code")
    lie = "print('Traceback (most recent call last):\\n  File \"<editor>\", line 999999999999999999999, in <b>x</b>')\n"
    run(page, lie + "print('Error<img src=x onerror=alert(1)>: no')\n")
    page.get_by_role("button", name="Line ").click()
    page.wait_for_timeout(200)
    assert page.locator("main img").count() == 0
    assert complaints_of(page) == []


def test_the_editor_comes_with_its_page_alone(visit: Visit) -> None:
    """A job's page loads nothing of CodeMirror."""
    page = visit("/jobs/lines")
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert [name for name in loaded if "xterm" in name]
    assert not [name for name in loaded if "codemirror" in name or "code" in name.rpartition("/")[2]]
