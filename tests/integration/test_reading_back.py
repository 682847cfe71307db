"""Reading back through the doors: places, search, downloads; also of what is wrong, huge or hostile."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from tests.oracle import numbers
from tests.serving import Page, Server


def _watch(server: Server, person: requests.Session, run: str, **place: Any) -> tuple[dict[str, Any], str]:
    """What another page gets from a place on: the answer and the text."""
    page = server.page(person)
    page.positions[run] = -1
    answer = page.call("watch", {"run": run, "ack": True, **place})
    assert answer["ok"], answer
    page.wait_for_end(run)
    page.close()
    return answer, page.text(run)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, (0, 1)),
        ({"after": 20}, (20, 11)),
        ({"line": 1}, (0, 1)),
        ({"line": 101}, (290, 101)),
        ({"line": 10**12}, (3890, 1001)),
        ({"tail": 3}, (3878, 998)),
        ({"tail": 0}, (3890, 1001)),
        ({"tail": 10**30}, (0, 1)),
        ({"time": 0}, (0, 1)),
        ({"time": -1e300}, (0, 1)),
        ({"time": 1e300}, (3890, 1001)),
    ],
)
def test_a_viewer_begins_at_a_place(
    server: Server, person: requests.Session, page: Page, place: dict[str, Any], expected: tuple[int, int]
) -> None:
    """By position, line, last lines or time: the answer says where that is, and output goes on from there."""
    run = page.complete(count=1000)
    answer, text = _watch(server, person, run, **place)
    after, line = expected
    assert (answer["after"], answer["line"]) == expected
    assert text == numbers(1000)[after:]
    assert text.split("\n")[0] == (str(line - 1) if line <= 1000 else "")


def test_a_viewer_begins_at_a_moment(server: Server, person: requests.Session, page: Page) -> None:
    """A time in mid-run leads to the lines that were printed from then on."""
    run = page.start("lines", count=200, pause=0.02)
    page.wait_for_text(run, "9\n")
    moment = time.time()
    seen = page.text(run)
    page.wait_for_end(run)
    answer, text = _watch(server, person, run, time=moment)
    # What was on its way to this page at that moment.
    assert 0 < answer["after"] <= len(seen) + 500
    assert page.text(run).endswith(text)
    assert text


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("watch", {"line": 0}, "line"),
    ("watch", {"line": -1}, "line"),
    ("watch", {"line": 1.5}, "line"),
    ("watch", {"line": "1"}, "line"),
    ("watch", {"line": True}, "line"),
    ("watch", {"tail": -1}, "tail"),
    ("watch", {"tail": [1]}, "tail"),
    ("watch", {"time": "now"}, "time"),
    ("watch", {"time": float("nan")}, "time"),
    ("watch", {"time": float("inf")}, "time"),
    ("watch", {"time": -float("inf")}, "time"),
    ("watch", {"line": 1, "tail": 1}, "one of them"),
    ("watch", {"after": 0, "time": 1}, "one of them"),
    ("search", {}, "text or pattern"),
    ("search", {"text": ""}, "text"),
    ("search", {"text": 5}, "text"),
    ("search", {"text": "a", "pattern": "a"}, "text or pattern"),
    ("search", {"text": "x" * 900_000}, "at most 1000"),
    ("search", {"pattern": "(a+" * 300_000}, "at most 1000"),
    ("search", {"pattern": "(a"}, "regular expression"),
    ("search", {"pattern": r"(a)\1"}, "regular expression"),
    ("search", {"pattern": r"(?=a)"}, "regular expression"),
    ("search", {"pattern": "((a{9}){9}){9}" * 3}, "too large"),
    ("search", {"text": "\ud800"}, "half of a character"),
    ("search", {"text": "a", "limit": 0}, "limit"),
    ("search", {"text": "a", "limit": 10**9}, "limit"),
    ("search", {"text": "a", "limit": float("nan")}, "limit"),
    ("search", {"text": "a", "after": -1}, "after"),
    ("search", {"text": "a", "after": 10**20}, "after"),
    ("search", {"text": "a", "backwards": "yes"}, "backwards"),
    ("search", {"text": "a", "ignore_case": 1}, "ignore_case"),
]


def test_wrong_places_and_searches_get_clear_errors(page: Page) -> None:
    """Each wrong message is refused with its reason, and the page lives on."""
    run = page.complete(count=3)
    for event, message, reason in WRONG:
        answer = page.call(event, {"run": run, **message})
        assert answer["ok"] is False, message
        assert answer["error"]["code"] == "bad_request"
        assert reason in answer["error"]["message"]
    assert page.call("search", {"run": run, "text": "2"})["matches"][0]["position"] == 4


def test_a_foreign_run_cannot_be_searched(server: Server, page: Page) -> None:
    """Another user's search answers as for an unknown run; so does a download of a part."""
    run = page.complete(count=3)
    stranger = server.log_in(1)
    other = server.page(stranger)
    for each in (run, "A" * 22, "../" + run):
        assert other.call("search", {"run": each, "text": "1"})["error"]["code"] == "not_found"
    assert stranger.get(f"{server.url}/runs/{run}/output?tail=1", timeout=10).status_code == 404
    other.close()


def test_search_finds_through_colours_and_tells_where(page: Page) -> None:
    """A match is found although colour codes stand in its midst; the answer has its line and columns."""
    run = page.complete("coloured", count=2000)
    answer = page.call("search", {"run": run, "text": "WORD 1234 done", "ignore_case": True})
    assert (answer["ok"], answer["done"], len(answer["matches"])) == (True, True, 1)
    match = answer["matches"][0]
    assert match["line"] == 1235
    assert match["text"][match["begins"] : match["ends"]] == "word 1234 done"
    assert "\x1b" not in match["text"]
    assert abs(match["time"] - time.time()) < 60
    assert page.text(run)[match["position"] :].startswith("a \x1b[1;31mwo")


def test_search_goes_on_page_by_page_either_way(page: Page) -> None:
    """With a limit the answer says where to go on, until everything was searched; backwards the newest come first."""
    run = page.complete(count=20_000)
    wanted = [number for number in range(20_000) if "77" in str(number)]
    for backwards in (False, True):
        found: list[int] = []
        message: dict[str, Any] = {"run": run, "pattern": "7{2}", "limit": 90, "backwards": backwards}
        while True:
            answer = page.call("search", message)
            found += [int(each["text"]) for each in answer["matches"]]
            if answer["done"]:
                break
            message["after"] = answer["searched"]
        assert found == (wanted[::-1] if backwards else wanted)


def test_a_live_run_is_searched_as_far_as_it_is(page: Page) -> None:
    """A search during the run finds what there is; a later one goes on from there."""
    run = page.start("lines", count=100_000, pause=0.005)
    page.wait_for_text(run, "20\n")
    first = page.call("search", {"run": run, "pattern": "^1?0$"})
    assert [each["text"] for each in first["matches"]] == ["0", "10"]
    assert first["done"]
    # The job goes on meanwhile: what is looked for comes after what was searched, however far that is.
    number = numbers(100_000)[: first["searched"]].count("\n") + 20
    page.wait_for_text(run, f"\n{number}\n")
    later = page.call("search", {"run": run, "pattern": f"^{number}$", "after": first["searched"]})
    assert [each["line"] for each in later["matches"]] == [number + 1]
    page.call("stop_request", {"run": run})
    page.wait_for_end(run)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x?){400}x{400}y"])
def test_catastrophic_patterns_hold_nobody_up(
    server: Server, person: requests.Session, page: Page, pattern: str
) -> None:
    """On a line of a megabyte they are answered in time, and the server answers others meanwhile."""
    run = page.complete("huge", size=1_000_000)
    other = server.page(person)
    other.client.emit("search", {"run": run, "pattern": pattern})
    began = time.monotonic()
    assert person.get(f"{server.url}/healthz", timeout=5).ok
    assert time.monotonic() - began < 3
    answer = page.call("search", {"run": run, "pattern": pattern, "backwards": True})
    assert answer["ok"]
    assert answer["done"] or answer["searched"] < 1_000_001
    other.close()


def test_leaving_ends_a_search(server: Server, person: requests.Session, page: Page) -> None:
    """Pages that go away in mid-search leave the server to others."""
    run = page.complete("huge", size=3_000_000)
    began = time.monotonic()
    for _ in range(5):
        other = server.page(person)
        for _ in range(5):
            other.client.emit("search", {"run": run, "pattern": "(x?){400}x{400}y"})
        other.close()
    assert page.call("search", {"run": run, "text": "x" * 50})["ok"]
    assert time.monotonic() - began < 10


def test_answers_are_plain_json(page: Page) -> None:
    """What a search answers can be read by any client."""
    run = page.complete("hostile")
    answer = page.call("search", {"run": run, "pattern": "broken|alert"})
    assert json.loads(json.dumps(answer)) == answer
    assert {each["line"] for each in answer["matches"]} == {1, 4}
