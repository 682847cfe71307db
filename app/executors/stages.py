"""The stages of a thread run's Stop: it is asked, an exception is raised in its threads, and then it is ignored.

A thread cannot be killed. So the last stage says no more than the truth: the run is "stopping" for as long as anything
of it lives, keeps its place among the runs, and becomes "stopped" should it end after all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from app.errors import StoreUnavailable
from app.executors import interrupt
from app.executors.flask_thread import FlaskThread
from app.model import Run, Status
from app.stack import Stack
from app.store.runs import Runs

logger = logging.getLogger(__name__)

LIVE = (Status.QUEUED, Status.RUNNING, Status.STOPPING)
ASK, RAISE, IGNORED = "ask", "raise", "ignored"
NEXT = {ASK: RAISE, RAISE: IGNORED, IGNORED: None}
IDLE_SECONDS = TELL_SECONDS = 0.2
BUSY_SECONDS = 0.02
# A thread that logs or prints all the time is seldom where an exception may be raised: it is looked at more often.
REFUSED_SECONDS = 0.001
RETRY_SECONDS = 1.0
# A thread that catches the exception gets it so often, evenly over the stage: in between it may clean up.
RAISES = 3
# What is ignored is tried for so long in each second: see interrupt.LASTING.
PULSE_SECONDS = 0.05


class Stages:
    """Takes the runs of this process that were asked to stop, or run too long, from stage to stage."""

    def __init__(self, stack: Stack, runs: Runs, live: Callable[[], list[tuple[Run, FlaskThread]]]) -> None:
        self._stack, self._runs, self._live = stack, runs, live
        self._told: dict[str, str] = {}
        self._news = stack.signal()

    def wake(self) -> None:
        """Somebody pressed Stop."""
        self._news.set()

    def watch(self) -> None:
        """For ever: see to it that each run is where it should be."""
        while True:
            live = self._live()
            try:
                pause = min((self._look(run, thread) for run, thread in live), default=IDLE_SECONDS)
            except Exception:
                logger.exception("the stages of Stop failed, and go on")
                pause = IDLE_SECONDS
            if len(self._told) > len(live):
                ids = {run.id for run, _ in live}
                self._told = {run_id: stage for run_id, stage in self._told.items() if run_id in ids}
            self._news.wait(pause)

    def _look(self, run: Run, thread: FlaskThread) -> float:
        """Do what is due; the seconds until the next look."""
        if thread.asked_at is None:
            thread.check_time()
            return IDLE_SECONDS
        over = time.monotonic() - thread.asked_at
        # A job that cannot hear the question is not left the time for an answer.
        raises = thread.grace if thread.asks else 0.0
        ignores = raises + thread.grace
        stage, left = (ASK, raises) if over < raises else (RAISE, ignores) if over < ignores else (IGNORED, over)
        if self._told.get(run.id) != stage and over > min(TELL_SECONDS, thread.grace / 2):
            # Most jobs stop at once, and then it need not be told.
            self._told[run.id] = stage
            until = None if stage == IGNORED else round(time.time() + left - over, 3)
            self._stack.spawn(self._tell, run.id, {"name": stage, "next": NEXT[stage], "until": until})
        if stage == RAISE and not _raise(thread, (over - raises) / thread.grace):
            return REFUSED_SECONDS
        if stage == IGNORED:
            _raise_rarely(thread)
        return BUSY_SECONDS

    def _tell(self, run_id: str, stage: dict[str, Any]) -> None:
        while self._told.get(run_id) == stage["name"]:
            try:
                # With the status, so that a full store tells it too.
                self._runs.change(run_id, LIVE, status=Status.STOPPING, stage=stage)
            except StoreUnavailable:
                self._stack.sleep(RETRY_SECONDS)
            else:
                return


def _raise(thread: FlaskThread, part: float) -> bool:
    """Raise in all threads of a run that are at work, as often as is due after this `part` of the stage.

    Answers False where that could not be done in one of them.
    """
    due = [each for each in thread.threads() if each.is_alive() and interrupt.arrived(each) <= part * RAISES]
    return all([interrupt.raise_in(each, thread.capture) for each in due])


def _raise_rarely(thread: FlaskThread) -> None:
    if interrupt.LASTING or time.monotonic() % 1 < PULSE_SECONDS:
        _raise(thread, 1 - 1 / RAISES)
    else:
        for each in thread.threads():
            interrupt.withdraw(each)
