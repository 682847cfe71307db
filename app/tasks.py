"""Tasks: texts that Celery's workers echo, and their results as Celery names them; JSON-RPC's `celery_echo`.

A task is a run of the job `celery_echo`, and its id is the run's: so it has an owner, can be stopped and watched, and
its result is there as long as the run is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.broker import missing
from app.celery_echo import LONGEST_TEXT, NAMES, celery_echo
from app.config import Settings
from app.console import Console
from app.errors import BadRequest, NotFound, WorkerUnavailable
from app.lookup import Place
from app.model import Run, Status, User
from app.turns import Turns

JOB = celery_echo.__name__
STATES: dict[Status, str] = {
    Status.QUEUED: "PENDING",
    Status.RUNNING: "STARTED",
    Status.STOPPING: "STARTED",
    Status.SUCCEEDED: "SUCCESS",
    Status.FAILED: "FAILURE",
    Status.TIMED_OUT: "FAILURE",
    Status.LOST: "FAILURE",
    Status.STOPPED: "REVOKED",
    Status.KILLED: "REVOKED",
}
# Of a text that has grown: some letters have longer capitals.
MOST_BYTES = 16 * LONGEST_TEXT


class Tasks:
    """The use cases of tasks; `takers` answers which workers take from a queue. Raises StoreUnavailable."""

    def __init__(
        self, settings: Settings, console: Console, turns: Turns, takers: Callable[[str], Mapping[str, str]]
    ) -> None:
        self._console, self._turns, self._takers = console, turns, takers
        self._seconds, self._missing = settings.celery_echo_seconds, missing(settings)

    def begin(self, user: User, method: str, text: str) -> str:
        """Have a text echoed; the task's id.

        Raises: BadRequest; WorkerUnavailable where nobody would do it; those of Console.start.
        """
        if method not in NAMES:
            raise BadRequest(f"method: expected one of {', '.join(NAMES)}")
        if len(text) > LONGEST_TEXT:
            raise BadRequest(f"text: at most {LONGEST_TEXT} characters")
        if self._missing:
            raise WorkerUnavailable(f"This server has no workers: {self._missing}.")
        queue = f"celery:{self._console.job(user, JOB).rules.queue or 'default'}"
        if not self._takers(queue):
            raise WorkerUnavailable(f"No worker is up for the queue {queue}: start one with `make worker`.")
        return self._console.start(user, JOB, {"method": method, "text": text, "seconds": self._seconds}).id

    def result(self, user: User, task_id: str) -> dict[str, Any]:
        """A task's `task_id` and `state`, with `echo` where it has succeeded, else a `message` where there is one.

        Raises: NotFound for an unknown task, and for what is another's or another job's.
        """
        run, _, pieces = self._console.read(user, task_id, Place(), MOST_BYTES)
        if run.job != JOB:
            raise NotFound("There is no such task.")
        found = {"task_id": run.id, "state": STATES[run.status]}
        if run.status is Status.SUCCEEDED:
            return {**found, "echo": "".join(piece.text for piece in pieces)}
        message = self._why(run)
        return {**found, "message": message} if message else found

    def _why(self, run: Run) -> str:
        if run.status is not Status.QUEUED:
            return run.message
        turn = self._turns.of(run)
        return str(turn["message"]) if turn else ""
