"""The viewers of a page: one for each run, and none that outlives its page, however its events fall together."""

from __future__ import annotations

import threading

import pytest

from app.viewer import Viewer, Viewers


def watch(run_id: str) -> Viewer:
    """A viewer of a run, to whom nothing is ever sent."""

    def never(*_: object) -> bool:
        raise AssertionError("sent")

    return Viewer(run_id, 0, never, never, never, never, None, threading.Event())


def test_one_viewer_for_each_run() -> None:
    """Whoever comes second replaces the first, which gets nothing more; others go on."""
    viewers = Viewers(3)
    first, second, other = watch("a"), watch("a"), watch("b")
    for each in (first, other, second):
        viewers.add(each)
    assert (first.closed, second.closed, other.closed) == (True, False, False)
    assert viewers.of("a") is second
    viewers.drop("a")
    viewers.drop("unknown")
    assert second.closed
    assert viewers.of("a") is None
    assert viewers.of("b") is other


@pytest.mark.parametrize("ended", [0, 2])
def test_one_too_many_costs_those_that_have_ended_or_the_oldest(ended: int) -> None:
    """No page has more than so many, and those of ended runs go first."""
    viewers, all_ = Viewers(3), [watch(str(number)) for number in range(4)]
    for each in all_[:3]:
        viewers.add(each)
    for each in all_[1 : 1 + ended]:
        each.close()
    viewers.add(all_[3])
    assert [viewers.of(each.run_id) is each for each in all_] == (
        [True, False, False, True] if ended else [False, True, True, True]
    )
    assert all_[0].closed is (not ended)
    assert not all_[3].closed


def test_a_viewer_that_comes_after_its_page_has_gone_is_closed() -> None:
    """To begin to watch takes a trip to the store, in which the page may go away: nobody would ever close it."""
    viewers, before, after = Viewers(3), watch("a"), watch("b")
    viewers.add(before)
    viewers.close()
    viewers.add(after)
    assert before.closed
    assert after.closed
