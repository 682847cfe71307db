"""What viewers of a waiting run are told: its place in the queue, and what it waits for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.errors import StoreUnavailable
from app.model import Run
from app.stack import Stack
from app.store.queue import Turn
from app.store.runs import Runs
from app.viewer import Viewer

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


@dataclass(eq=False)
class Waiter:
    """A viewer of a run that waits, and what it was told last."""

    run: Run
    viewer: Viewer
    send: Callable[[dict[str, Any]], object]
    told: dict[str, Any] | None = None


class Turns:
    """The waiting runs that this node's viewers watch; `trouble` says why none of a queue begins, or nothing."""

    def __init__(self, stack: Stack, runs: Runs, trouble: Callable[[str], str] = lambda _queue: "") -> None:
        self._stack, self._runs, self._trouble = stack, runs, trouble
        self._waiters: list[Waiter] = []
        self._looking = False
        self._lock, self._news = stack.lock(), stack.signal()

    def watch(self, run: Run, viewer: Viewer, send: Callable[[dict[str, Any]], object]) -> None:
        """Have `send` called with a run's turn, now and when it changes, until it has come or the viewer has gone."""
        with self._lock:
            self._waiters.append(Waiter(run, viewer, send))
            if self._looking:
                self._news.set()
                return
            self._looking = True
        self._stack.spawn(self._look_on)

    def of(self, run: Run) -> dict[str, Any] | None:
        """A run's turn as it is now; None where it does not wait."""
        turn = self._runs.turns([run.id]).get(run.id)
        return as_dict(run, turn, self._trouble(run.queue)) if turn else None

    def _look_on(self) -> None:
        while True:
            try:
                self._look()
            except StoreUnavailable:
                # They are told of that by another way.
                pass
            except Exception:
                logger.exception("those who watch waiting runs could not be told their turns, and are again")
            with self._lock:
                if not self._waiters:
                    self._looking = False
                    return
            self._news.wait(LOOK_SECONDS)

    def _look(self) -> None:
        with self._lock:
            self._waiters = [each for each in self._waiters if not each.viewer.closed]
            waiters = list(self._waiters)
        turns = self._runs.turns(sorted({each.run.id for each in waiters}))
        for waiter in waiters:
            turn = turns.get(waiter.run.id)
            if turn is None:
                with self._lock:
                    self._waiters.remove(waiter)
                continue
            told = as_dict(waiter.run, turn, self._trouble(waiter.run.queue))
            if told != waiter.told and not waiter.viewer.closed:
                waiter.told = told
                waiter.send(told)


def as_dict(run: Run, turn: Turn, trouble: str = "") -> dict[str, Any]:
    """A run's turn as doors send it; `message` says for people what it waits for, first of all the queue's trouble."""
    return {
        "run": run.id,
        "name": run.queue,
        "position": turn.place,
        "takers": turn.takers,
        "reason": turn.reason,
        "message": trouble or _message(run, turn),
    }


def _message(run: Run, turn: Turn) -> str:
    if turn.reason == "job":
        many = "one run" if run.job_limit == 1 else f"{run.job_limit} runs"
        return f"This job has {many} at a time, and no more."
    if turn.reason == "user":
        return f"You have {run.user_limit} runs at a time, and no more."
    if turn.reason == "takers":
        kind = "worker" if run.executor == "celery" else "runner" if run.executor == "process" else "server"
        return f"No {kind} is up for the queue {run.queue}."
    return ""
