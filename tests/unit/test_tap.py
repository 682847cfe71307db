"""A tap: all output before the end, and complete only once all of it was taken."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from app.feed import Piece
from app.model import Run, Status, User
from app.stack import ThreadingStack
from app.tap import Tap
from app.viewer import Viewer

RUN = Run("a", "job", "Job", User("ann", "Ann", "ann@example.com"), Status.RUNNING, time.time(), "thread")
ENDED = replace(RUN, status=Status.SUCCEEDED)
LAST = Piece(0, 5)


class AtTheLook(deque[Any]):
    """Pieces that are none as somebody looks, who is overtaken at that moment by the last one and the end."""

    def __init__(self, tap: Tap) -> None:
        super().__init__()
        self._tap: Tap | None = tap

    def __bool__(self) -> bool:
        tap, self._tap = self._tap, None
        if tap is None:
            return len(self) > 0
        tap.output(LAST)
        tap.status(ENDED)
        return False


@pytest.fixture
def tap() -> Tap:
    """A tap of a viewer that has taken nothing."""
    made = Tap(ThreadingStack().signal(), 20)
    made.attach(Viewer("a", 5, made.output, made.status, made.behind, lambda: True, None, made._signal), None)
    return made


def test_the_last_output_comes_before_the_end_however_they_fall(tap: Tap) -> None:
    """Both come between the look for output and that for the end: nothing is passed over."""
    tap._pieces = AtTheLook(tap)
    assert list(tap) == [("output", LAST), ("status", ENDED)]
    assert tap.complete


def test_one_that_is_closed_is_not_complete(tap: Tap) -> None:
    """A login ends as the output does: what was not taken is missing, and the answer must not look whole."""
    events = iter(tap)
    tap.output(LAST)
    tap.output(LAST)
    assert next(events) == ("output", LAST)
    tap.status(ENDED)
    tap.close()
    assert list(events) == []
    assert not tap.complete


def test_what_was_taken_counts_before_the_viewer_says_so() -> None:
    """It is sent before the viewer has gone on: without `follow` an answer ends all the same."""
    made = Tap(ThreadingStack().signal(), 20)
    made.attach(Viewer("a", 0, made.output, made.status, made.behind, lambda: True, None, made._signal), 5)
    made.output(LAST)
    assert list(made) == [("output", LAST), ("beat", 5)]
    assert made.complete
