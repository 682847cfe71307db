"""Waiting for what has to come, and how long something took."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def wait_until(true: Callable[[], object], what: str | Path = "", *, seconds: float = 20, pause: float = 0.02) -> None:
    """Wait until it is so, looking again after each `pause`; `what`, or that file's text, is said where it never is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what.read_text() if isinstance(what, Path) else what
        time.sleep(pause)


def took(work: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that it took, and what it gave."""
    began = time.monotonic()
    answer = work()
    return time.monotonic() - began, answer
