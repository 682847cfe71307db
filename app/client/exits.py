"""What the client exits with, and the errors that end it; docs/cli.md has the same table."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from typing import Any

import click

from app.plain import plain

OK = 0
USAGE = 2
BROKEN = 65
NOT_FOUND = 66
AWAY = 69
SERVER = 70
BUSY = 75
DENIED = 77
TIMED_OUT = 124
LOST = 125
DETACHED = 130
KILLED = 137
NOBODY_READS = 141
STOPPED = 143
# As shells have it.
SIGNALS = 128
# What a run's final status is, but for `failed`, which is its job's own matter.
BY_STATUS = {"succeeded": OK, "stopped": STOPPED, "killed": KILLED, "timed out": TIMED_OUT, "lost": LOST}
BY_CODE = {"not_found": NOT_FOUND, "invalid_parameters": USAGE, "bad_request": USAGE}
BY_HTTP = {401: DENIED, 403: DENIED, 404: NOT_FOUND, 429: BUSY, 503: BUSY}
SERVER_ERRORS = 500
# ECMA-48's 8-bit controls, and DEL.
_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]|\x7f")
MOST = 255


class Failure(click.ClickException):
    """What ends a command: a sentence, with what to do, and the exit code; `code` is the server's, or empty."""

    def __init__(self, message: str, exits: int, code: str = "") -> None:
        super().__init__(clean(message))
        self.exits, self.code = exits, code


class Away(Failure):
    """The server cannot be reached, and was waited for long enough."""

    def __init__(self, message: str) -> None:
        super().__init__(message, AWAY)


class Detached(BaseException):
    """The user has left a run alone; like KeyboardInterrupt no error, so that nothing takes it for one."""


def clean(text: str) -> str:
    """A text from a server for a terminal: no sequence, no control character but line ends."""
    return plain(text).replace("\r", " ").replace("\t", " ")


def inert(line: bytes) -> bytes:
    """JSON that says the same in characters that no terminal obeys; of these JSON itself escapes some alone."""
    return _CONTROLS.sub(lambda found: b"\\u00%02x" % found[0][-1], line)


def of_status(status: int, code: str) -> int:
    """What an answer that is no good one exits with."""
    if code in BY_CODE:
        return BY_CODE[code]
    return BY_HTTP.get(status, SERVER if status >= SERVER_ERRORS else BROKEN)


def of_run(run: Mapping[str, Any]) -> int:
    """What a run that has ended exits with: its own code where it failed."""
    status = run.get("status")
    if status in BY_STATUS:
        return BY_STATUS[status]
    code, name = run.get("exit_code"), run.get("signal")
    if isinstance(code, int) and code:
        return code if 0 < code <= MOST else 1
    try:
        return SIGNALS + signal.Signals[str(name)]
    except KeyError:
        return 1
