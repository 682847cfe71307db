"""Lines typed into code that asks: on the page, in order, bounded, and by its owner alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.typed_fixture import answer, typed, whole
from tests.killable import Valkey
from tests.serving import Page, Server, running_server


def test_input_asks_and_gets_the_typed_line(typed_page: Page) -> None:
    """`input`, `sys.stdin` and `getpass` ask on the page; the end of the input is EOFError; answers are echoed."""
    source = """
import getpass, sys
name = input("Your name? ")
print("hello", name)
print(repr(sys.stdin.readline()))
print(len(getpass.getpass("Secret: ")))
try:
    input()
except EOFError:
    print("no more")
"""
    run = typed(typed_page, source)
    answer(typed_page, run, "Ana Ünal", "Your name? ")
    answer(typed_page, run, "second line", "")
    answer(typed_page, run, "hidden words", "Secret: ")
    answer(typed_page, run, None, "")
    record = typed_page.wait_for_end(run)
    assert record["status"] == "succeeded"
    assert record["asks"] is None
    text = whole(typed_page, run, record["position"])
    assert text == "Your name? Ana Ünal\nhello Ana Ünal\nsecond line\n'second line\\n'\nSecret: \n12\nno more\n"
    assert "hidden words" not in text


def test_lines_typed_before_they_are_asked_for_wait_in_order(typed_page: Page) -> None:
    """Lines that come early are read one by one."""
    run = typed(typed_page, "import sys\nprint(input('go? '))\nprint([sys.stdin.readline() for _ in range(3)])")
    for line in ("one", "two", "three", "four"):
        assert typed_page.call("input", {"run": run, "line": line})["ok"]
    assert typed_page.wait_for_end(run)["status"] == "succeeded"
    assert "['two\\n', 'three\\n', 'four\\n']" in typed_page.text(run)


def test_lines_that_nobody_reads_are_bounded(typed_page: Page) -> None:
    """A run that reads nothing gets a hundred lines at most; what then comes is refused clearly."""
    run = typed(typed_page, "import time\nprint('begun')\ntime.sleep(600)")
    typed_page.wait_for_text(run, "begun")
    answers = [typed_page.call("input", {"run": run, "line": f"line {number}"}) for number in range(101)]
    assert all(each["ok"] for each in answers[:100])
    assert answers[100]["error"]["code"] == "too_many"
    assert typed_page.call("stop_request", {"run": run})["ok"]
    typed_page.wait_for_end(run)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, "bad_request"),
        ({"line": 5}, "bad_request"),
        ({"line": "two\nlines"}, "bad_request"),
        ({"line": "x" * 10_001}, "bad_request"),
        ({"line": "x", "eof": True}, "bad_request"),
        ({"eof": "yes"}, "bad_request"),
        ({"line": "x", "run": "A" * 22}, "not_found"),
        ({"line": "x", "run": "../x"}, "not_found"),
        ({"line": "x", "run": None}, "bad_request"),
    ],
)
def test_hostile_input_gets_clear_errors(typed_page: Page, message: dict[str, Any], code: str) -> None:
    """Wrong, huge and foreign input is refused, and the run goes on waiting."""
    run = typed(typed_page, "print(input('?'))")
    assert typed_page.call("input", {"run": run, **message})["error"]["code"] == code
    answer(typed_page, run, "good", "?")
    assert typed_page.wait_for_end(run)["status"] == "succeeded"
    assert typed_page.call("input", {"run": run, "line": "late"})["error"]["code"] == "not_waiting"


def test_others_cannot_type_into_a_run(typed_site: Server, typed_page: Page) -> None:
    """A foreign run's input is refused like that of an unknown run."""
    run = typed(typed_page, "print(input('?'))")
    other = typed_site.page(typed_site.log_in(1))
    assert other.call("input", {"run": run, "line": "mine"})["error"]["code"] == "not_found"
    other.close()
    answer(typed_page, run, "own", "?")
    assert "own" in typed_page.wait_for_text(run, "own\nown")


def test_runs_happen_side_by_side(typed_page: Page) -> None:
    """Several runs at once; each has its own folder, and its own answers."""
    runs = [
        typed(typed_page, f"open('own', 'w').write('{n}')\nx = input('?{n}')\nprint(open('own').read(), x)")
        for n in range(4)
    ]
    for number, run in reversed(list(enumerate(runs))):
        answer(typed_page, run, f"answer {number}", f"?{number}")
    for number, run in enumerate(runs):
        assert typed_page.wait_for_end(run)["status"] == "succeeded"
        assert f"{number} answer {number}" in typed_page.text(run)


def test_a_question_while_the_store_is_away_gets_its_line(
    valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path
) -> None:
    """What was typed before is not to be had as it is asked for: it is as soon as the store is back."""
    with running_server(tmp_path / "log", **store_settings, CODE_USERS="*") as server:
        page = server.page(server.log_in())
        run = typed(page, "import time\nprint('begun')\ntime.sleep(2)\nprint('got', input())")
        page.wait_for_text(run, "begun")
        assert page.call("input", {"run": run, "line": "early"})["ok"]
        valkey.freeze()
        time.sleep(6)
        valkey.thaw()
        page.wait_for_text(run, "got early")
        assert page.wait_for_end(run)["status"] == "succeeded"
        page.close()
