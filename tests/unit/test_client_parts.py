"""The client's small parts: parameters by their schema, exit codes, Retry-After, addresses, records."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import click
import pytest

from app.client import exits, logins
from app.client.exits import Away, Failure
from app.client.inbox import MOST, Inbox
from app.client.news import Told
from app.client.params import kind_of, parse
from app.client.patience import LONGEST_ASKED, Patience, retry_after
from app.client.screen import Screen
from app.client.typed import Typed

SCHEMA: dict[str, Any] = {
    "properties": {
        "number": {"type": "integer"},
        "share": {"type": "number"},
        "really": {"type": "boolean"},
        "text": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "choice": {"enum": ["1", 1, True, "x"]},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "words": {"type": "array", "items": {"type": "string"}},
        "numbers": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]},
        "odd": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
    },
    "required": [],
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["number=-5"], {"number": -5}),
        (["share=1e3"], {"share": 1000.0}),
        (["really=OFF"], {"really": False}),
        (["text="], {"text": ""}),
        (["text=a=b"], {"text": "a=b"}),
        (["text=@@x"], {"text": "@x"}),
        (["day=2024-01-01"], {"day": "2024-01-01"}),
        (["choice=1"], {"choice": "1"}),
        (["choice=true"], {"choice": True}),
        (["maybe="], {"maybe": None}),
        (["maybe=3"], {"maybe": 3}),
        (["words="], {"words": []}),
        (["words=a b"], {"words": ["a b"]}),
        (["words=a", "words="], {"words": ["a", ""]}),
        (['words=["a", "b"]'], {"words": ["a", "b"]}),
        (["numbers="], {"numbers": None}),
        (["numbers=1", "numbers=2"], {"numbers": [1, 2]}),
        (["odd=x"], {"odd": "x"}),
        (["text:=null", "number:=1.5"], {"text": None, "number": 1.5}),
        (["number=" + "9" * 4000], {"number": int("9" * 4000)}),
    ],
)
def test_values_are_made_exact(words: list[str], expected: dict[str, Any]) -> None:
    """By the schema, and what the schema does not tell stays a text for the server."""
    assert parse("it", SCHEMA, words) == expected


@pytest.mark.parametrize(
    "word",
    [
        *("number=", "number=1.5", "number=x", "share=inf", "share=", "really=", "choice=y", "maybe=x", "numbers=x"),
        *("words=[1", "number:=", "text:={", "=1", "x=1", "text", "", "text=@", "number=" + "9" * 5000),
    ],
)
def test_values_that_are_none(word: str) -> None:
    """Each is a usage error with a sentence."""
    with pytest.raises(click.UsageError):
        parse("it", SCHEMA, [word])


def test_files(tmp_path: Path) -> None:
    """A file's text for any kind; one that is too long or no text is refused before anything is sent."""
    file = tmp_path / "file"
    file.write_text("12")
    assert parse("it", SCHEMA, [f"number=@{file}", f"text=@{file}"]) == {"number": 12, "text": "12"}
    for data in (b"\xff", b"x" * 2_000_000):
        file.write_bytes(data)
        with pytest.raises(click.UsageError):
            parse("it", SCHEMA, [f"text=@{file}"])


def test_kinds_in_words() -> None:
    """As `jobs NAME` shows them."""
    kinds = {name: kind_of(described) for name, described in SCHEMA["properties"].items()}
    assert kinds["numbers"] == "list of integer or nothing"
    assert (kinds["day"], kinds["choice"], kinds["odd"]) == ("date", "1|1|true|x", "any or nothing")


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        *(("3", 3, 3), ("0.5", 0.5, 0.5), ("-1", 0, 0), ("99999999", LONGEST_ASKED, LONGEST_ASKED)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
    ],
)
def test_retry_after(header: str, low: float, high: float) -> None:
    """Seconds or a date, a minute at most."""
    found = retry_after(header)
    assert found is not None
    assert low <= found <= high


def test_retry_after_a_date() -> None:
    """The time until then."""
    found = retry_after(formatdate(time.time() + 30, usegmt=True))
    assert found is not None
    assert 0 < found <= 30


@pytest.mark.parametrize("header", [None, "", "soon", "nan", "inf", "1 2", "Thu, 99 Foo 1970"])
def test_retry_after_that_is_none(header: str | None) -> None:
    """Nonsense is no time."""
    assert retry_after(header) is None


def test_patience() -> None:
    """None before the first answer, then as long as was given; it is told once, and again when it is over."""
    said: list[str] = []
    patience = Patience("http://here", None, said.append)
    with pytest.raises(Away):
        patience.failed("nobody listens there")
    patience = Patience("http://here", 0.2, said.append)
    patience.well()
    patience.pause = lambda _: None
    patience.failed("cut")
    patience.failed("cut")
    patience.well()
    assert said == ["Waiting for http://here, 0.2 s at most: cut.", "http://here is back."]
    patience.pause = time.sleep
    with pytest.raises(Away):
        _for_ever(lambda: patience.failed("cut"))
    other = Patience("http://here", 0.2, said.append)
    with pytest.raises(Away):
        _for_ever(lambda: other.fruitless(0.0))


def _for_ever(work: Callable[[], object]) -> None:
    while True:
        work()


@pytest.mark.parametrize(
    ("run", "code"),
    [
        ({"status": "succeeded", "exit_code": 0}, 0),
        ({"status": "failed", "exit_code": 3}, 3),
        ({"status": "failed", "exit_code": 256}, 1),
        ({"status": "failed", "exit_code": None, "signal": "SIGKILL"}, 137),
        ({"status": "failed", "exit_code": None, "signal": ""}, 1),
        ({"status": "failed", "exit_code": None, "signal": "SIGWHAT"}, 1),
        ({"status": "stopped", "exit_code": 0}, 143),
        ({"status": "killed"}, 137),
        ({"status": "timed out"}, 124),
        ({"status": "lost"}, 125),
    ],
)
def test_exit_codes(run: dict[str, Any], code: int) -> None:
    """As docs/cli.md has them."""
    assert exits.of_run(run) == code


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:5000", "http://localhost:5000"),
        (" https://a.example/ ", "https://a.example"),
        ("https://a.example/api/v1.0/", "https://a.example"),
        ("https://a.example/behind/", "https://a.example/behind"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("HTTPS://A.Example", "https://a.example"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    """What people type is made the address."""
    assert logins.address(text) == url


def test_an_inbox_is_bounded_and_wakes() -> None:
    """A reader waits for the main thread, and one that is closed waits for nobody."""
    inbox = Inbox()
    for number in range(MOST):
        inbox.put(number)
    inbox.close()
    inbox.put("too many")
    assert os.read(inbox.wake, 10_000)
    assert [inbox.take() for _ in range(MOST + 1)] == [*range(MOST), None]


def test_typed_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole lines, and what stands behind the last at the end; then nothing."""
    pieces = [b"a\nb", b"c\r\nlast", b""]
    monkeypatch.setattr(os, "read", lambda *_: pieces.pop(0))
    typed = Typed()
    typed.read()
    assert [typed.line(), typed.line()] == ["a", None]
    typed.read()
    assert [typed.line(), typed.line()] == ["bc", None]
    typed.read()
    assert [typed.ready, typed.line(), typed.line(), typed.ready] == [True, "last", None, True]


def test_a_token_has_no_line_end() -> None:
    """Nothing that could be another header."""
    for token in ("a\r\nX: y", "", "a b", "é", "a\x00"):
        with pytest.raises(Failure):
            logins.checked(token)


def test_a_quiet_screen_says_errors_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """And nothing of it obeys a server."""
    Screen(quiet=True).say("no")
    Screen(quiet=True).tell("an error \x1b[31mred\x07")
    assert capfd.readouterr().err == "an error red\n"


def test_a_stop_is_told_in_sentences(capfd: pytest.CaptureFixture[str]) -> None:
    """Each stage once; also one that only a newer server has."""
    told = Told(Screen(quiet=False))
    for name in ("ask", "ask", "raise", "later"):
        told.tell({"type": "status", "run": {"status": "stopping", "stage": {"name": name, "next": None}}})
    said = ["The run is asked to stop.", "The run is interrupted by an exception.", "Stopping: later"]
    assert capfd.readouterr().err.splitlines() == said
