"""The Console page: code is typed and run, several at a time; it fails, asks, is stopped; and who may."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.code_page import MINUTE, code_of, ready, row, run, type_code, wait_for, wait_for_text
from tests.e2e.conftest import complaints_of, shown
from tests.serving import Server

Visit = Callable[..., Page]


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
    ready(page)
    type_code(page, "# slow\nname = 'slow'\nprint(name, 0)\nprint(name, 1)\ninput('go on?')\nprint(name, 2)\n")
    page.keyboard.press("Control+Enter")
    wait_for_text(page, "slow 1")
    expect(page.get_by_label("go on?")).to_be_visible(timeout=MINUTE)
    text = run(page, "# quick\nname = 'quick'\nprint(name, 0)\n")
    assert text.startswith("quick 0")
    assert "slow" not in text
    slow = row(page, "name = 'slow'")
    expect(slow.locator(".status")).to_have_attribute("data-status", "running")
    slow.locator("a").first.click()
    wait_for(page, "running")
    assert shown(page).startswith("slow 0\nslow 1\n")
    other = page.context.new_page()
    other.goto(page.url)
    row(page, "name = 'quick'").locator("a").first.click()
    wait_for(page, "succeeded")
    assert "slow" not in shown(page)
    # Its end is told while the other one is shown.
    other.get_by_label("go on?").fill("yes", timeout=MINUTE)
    other.keyboard.press("Enter")
    wait_for_text(other, "slow 2")
    expect(slow.locator(".status")).to_have_attribute("data-status", "succeeded", timeout=MINUTE)
    assert "slow" not in shown(page)
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


def test_hostile_output_makes_no_line_of_the_page(visit: Visit) -> None:
    """Output that looks like a traceback is text and a number, whatever stands in it."""
    page = visit("/code")
    lie = "print('Traceback (most recent call last):\\n  File \"<editor>\", line 999999999999999999999, in <b>x</b>')\n"
    run(page, lie + "print('Error<img src=x onerror=alert(1)>: no')\n")
    page.get_by_role("button", name="Line ").click()
    page.wait_for_timeout(200)
    assert page.locator("main img").count() == 0
    assert complaints_of(page) == []
