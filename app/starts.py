"""Starts: a run is stored, and begins or is told to whoever takes it; what cannot be is withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app import audit
from app.catalog import Job
from app.dispatch import NOT_STARTED, UNANSWERED, Dispatcher
from app.errors import RealtimeError, StoreUnavailable, TooMany
from app.executors.base import Executor
from app.model import Run, Status
from app.stack import Stack
from app.store.runs import Bounds, Runs

RETRY_SECONDS = 1.0


class Starts:
    """Runs at their start, whatever executes them; `bounds` are those of what waits and of starts."""

    def __init__(
        self,
        stack: Stack,
        executors: Mapping[str, Executor],
        dispatcher: Dispatcher,
        runs: Runs,
        *,
        bounds: Bounds,
        node: str,
    ) -> None:
        self._stack, self._executors, self._dispatcher = stack, executors, dispatcher
        self._runs, self._bounds, self._node = runs, bounds, node
        # The runs that are being withdrawn.
        self._withdrawn: set[str] = set()

    def _happens_here(self, executor: str) -> bool:
        return self._executors[executor].begins is Status.RUNNING

    def store(self, run: Run, job: Job, values: dict[str, Any], key: str | None) -> Run:
        """Store it, and admit it where it may begin here at once; the run as it is stored, which may be an earlier one.

        Raises: TooMany, StoreUnavailable.
        """
        try:
            if self._happens_here(run.executor):
                stored = self._dispatcher.create(replace(run, node=self._node), job, values, key, self._bounds)
            else:
                stored = self._runs.create(run, key, self._bounds, kept=False)
        except TooMany as error:
            audit.denied("too_many", run.user.id, detail=str(error))
            raise
        except StoreUnavailable:
            # It may be stored all the same, with only the answer lost.
            self._withdraw(run, key)
            raise
        if stored.id in self._withdrawn or (stored.id != run.id and stored.message == UNANSWERED):
            # The same key was tried again, and what it started is about to go: soon the key is free.
            raise StoreUnavailable(UNANSWERED)
        return stored

    def begin(self, run: Run, key: str | None) -> None:
        """Begin a run that was just stored, or tell those that take it; it fails where that cannot be.

        Raises: whatever has hindered it.
        """
        try:
            if self._happens_here(run.executor):
                self._dispatcher.begin(run)
            else:
                self._executors[run.executor].announce(run)
        except Exception as error:
            reason = str(error) if isinstance(error, RealtimeError) else NOT_STARTED
            try:
                self._runs.finish(run.id, None, Status.FAILED, message=reason)
            except StoreUnavailable:
                # Stored as live, and run by nobody: it must not wait until its lease is over.
                self._withdraw(run, key)
            raise

    def _withdraw(self, run: Run, key: str | None) -> None:
        self._withdrawn.add(run.id)
        self._stack.spawn(self._keep_withdrawing, run, key)

    def _keep_withdrawing(self, run: Run, key: str | None) -> None:
        try:
            while True:
                try:
                    self._runs.withdraw(run, key, UNANSWERED)
                except StoreUnavailable:
                    self._stack.sleep(RETRY_SECONDS)
                else:
                    return
        finally:
            self._withdrawn.discard(run.id)
