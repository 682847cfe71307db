"""The log's lines: one record each, whatever is in names, parameters, headers and errors."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import logs
from app.floods import MOST_KEYS, Floods
from app.logs import JsonFormatter, Redactor, ServerHandler, TextFormatter

ROOT = Path(__file__).parents[2]
HOSTILE = [
    "name\n2026-01-01T00:00:00.000Z INFO app.audit: login user=root",
    "name\r\nforged",
    "\x1b[2J\x1b[31mred",
    "\x9b31mred in one character",
    "\u2028line separator\u2029",
    "\u202eright to left",
    "\x00\x07\x08\x7f",
    "half a pair \ud800",
    '", "level": "forged',
]


class Log:
    """A logger of its own, and the lines that it writes."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.lines: list[str] = []
        self.logger = logging.Logger("trial")
        self.logger.addHandler(ServerHandler(formatter, self.lines.append))

    def text(self) -> str:
        """All that was written."""
        return "".join(self.lines)


@pytest.fixture(params=[JsonFormatter, TextFormatter])
def log(request: pytest.FixtureRequest) -> Log:
    """A log in each format."""
    return Log(request.param())


def _fail(text: str) -> None:
    raise ValueError(text)


def _fields(log: Log) -> dict[str, Any]:
    (line,) = log.lines
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_forges_a_line_or_colours_a_terminal(log: Log, hostile: str) -> None:
    """In a message, an argument and a field, control characters are escaped: one record is one printable line."""
    log.logger.warning("%s", hostile, extra={"user": hostile, "names": [hostile]})
    log.logger.warning(hostile)
    assert len(log.lines) == 2
    for line in log.lines:
        assert line.endswith("\n")
        assert line[:-1].isprintable()


def test_json_gives_back_what_was_said() -> None:
    """Escaping loses nothing: a program that reads the line has the very text."""
    for hostile in HOSTILE:
        log = Log(JsonFormatter())
        log.logger.info("%s", hostile, extra={"user": hostile, "count": 3, "names": ["a", hostile]})
        fields = _fields(log)
        assert (fields["message"], fields["user"], fields["names"]) == (hostile, hostile, ["a", hostile])
        assert (fields["level"], fields["logger"], fields["count"]) == ("INFO", "trial", 3)
        assert fields["time"].endswith("Z")


def test_a_traceback_stays_in_its_record(log: Log) -> None:
    """In JSON it is a field; in text its lines are indented, also those of a hostile error's text."""
    try:
        _fail("one\n2026-01-01T00:00:00.000Z INFO app: forged\x1b[31m")
    except ValueError:
        log.logger.exception("it failed")
    text = log.text()
    assert "\x1b" not in text
    if len(text.splitlines()) == 1:
        assert "Traceback (most" in json.loads(text)["traceback"]
    else:
        first, *others = text.splitlines()
        assert first.endswith("ERROR trial: it failed")
        assert others
        assert all(line.startswith("    ") for line in others)


def test_fields_of_a_text_line_cannot_be_forged() -> None:
    """A value that looks like more fields stands in quotation marks, and cannot end them."""
    log = Log(TextFormatter())
    log.logger.info("done", extra={"user": 'a" run=forged', "run": "R1"})
    assert log.text().endswith('INFO trial: done user="a\' run=forged" run=R1\n')


def test_very_long_texts_are_cut_with_a_note(log: Log) -> None:
    """A megabyte in a message or a field becomes a line of bounded length, which says how much is left out."""
    log.logger.info("x" * 1_000_000, extra={"user": "y" * 50_000})
    assert len(log.text()) < 10_000
    assert "characters ...]" in log.text()


def test_what_cannot_be_shown_is_no_failure(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments and objects whose text fails give a record all the same."""

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    log.logger.info("%d lines", "many")
    log.logger.info("%s", Bad())
    log.logger.info("a field", extra={"user": Bad()})
    assert len(log.lines) == 3
    assert "cannot be shown" in log.lines[0]
    assert "<Bad>" in log.lines[2]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer CANARY",
        "{'Authorization': 'Bearer CANARY'}",
        'Authorization="Basic CANARY"',
        "GET /redirect?code=CANARY&state=CANARY",
        '{"access_token": "CANARY", "refresh_token": "CANARY"}',
        "client_secret=CANARY&grant_type=refresh_token&refresh_token=CANARY",
        "the secret is sesame-open-CANARY.",
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    """Tokens and codes where they usually stand, and the settings' own secrets wherever they stand."""
    for formatter in (JsonFormatter, TextFormatter):
        log = Log(formatter(Redactor(("sesame-open-CANARY",))))
        try:
            _fail(text)
        except ValueError:
            log.logger.exception("%s", text, extra={"user": text})
        assert "*****" in log.text()
        assert "CANARY" not in log.text()


def test_ordinary_words_stay() -> None:
    """Codes that are no secrets are shown."""
    log = Log(JsonFormatter())
    said = "exit code: 3, status code=500, state: running, login_required"
    log.logger.info(said)
    assert _fields(log)["message"] == said


def test_the_same_line_of_code_cannot_fill_the_disk() -> None:
    """Of one place's records so many pass in a minute; how many more there were is said afterwards."""
    log = Log(JsonFormatter())
    handler = log.logger.handlers[0]
    assert isinstance(handler, ServerHandler)
    for number in range(logs.MOST_ALIKE + 7):
        log.logger.info("number %d", number)
    assert len(log.lines) == logs.MOST_ALIKE
    for window in handler._floods._windows.values():
        window.ends = 0.0
    log.logger.info("another")
    assert "7 more records like one before were left out" in log.text()
    assert '"another"' in log.text()


def test_floods_are_bounded_themselves() -> None:
    """Ever new kinds are one kind together from some number on."""
    floods: Floods[int] = Floods(1, 60.0)
    admitted = sum(floods.admit(number) for number in range(10 * MOST_KEYS))
    assert admitted == MOST_KEYS + 1
    assert floods.over() == []


PROGRAM = """
import logging, sys, threading, warnings
from app import capture, logs
from app.logstream import Background
capture.install()
logs.configure("json", Background())
logs.always(node="N1")
logging.getLogger("app.x").info("one", extra={"run": "R1"})
logging.getLogger("app.x").debug("never")
logging.getLogger("some.library").warning("two\\x1b[31m")
logging.getLogger("gunicorn.error").error("three")
logging.getLogger("engineio.server").info("what people send")
print("four")
sys.stderr.write("five, in ")
sys.stderr.write("two pieces\\n")
print("six", file=sys.__stderr__)
def fail():
    raise ValueError("seven")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
import os
os.write(1, b"raw\\n")
raise ValueError("eight\\nforged")
"""


def test_everything_that_a_process_says_is_json() -> None:
    """Our records, libraries', prints, what threads die of, and the process's own last error: a JSON object each."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == "raw\n"
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(record["node"] == "N1" for record in records)
    assert [(record["logger"], record["message"]) for record in records] == [
        ("app.x", "one"),
        ("some.library", "two\x1b[31m"),
        ("gunicorn.error", "three"),
        ("stdout", "four"),
        ("stderr", "five, in two pieces"),
        ("stderr", "six"),
        ("app", "a thread ended by an error"),
        ("app", "the process ends by an error"),
    ]
    assert records[0]["run"] == "R1"
    assert "ValueError: seven" in records[-2]["traceback"]
    assert "ValueError: eight\nforged" in records[-1]["traceback"]


STALLED = """
import logging, time
from app import logs
from app.logstream import Background
logs.configure("json", Background())
began = time.monotonic()
for number in range(20_000):
    logging.getLogger(f"app.{number}").info("x" * 100)
print("told", time.monotonic() - began, flush=True)
import os
os.write(1, b"done\\n")
os._exit(0)
"""


def test_nobody_waits_for_whoever_reads_the_log() -> None:
    """With a reader that does not read, a program that logs goes on to its end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", STALLED], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        out = process.stdout
        assert isinstance(out, io.BufferedReader)
        try:
            assert out.readline() == b"done\n"
        finally:
            process.kill()
