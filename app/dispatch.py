"""The thread runs of this node: they begin at once where there is room, and else wait here for their turn.

The store says who is next; this node holds what a run needs to begin, and the leases of those that wait.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

from app.catalog import Job
from app.errors import RealtimeError, StoreUnavailable
from app.executors.base import LocalExecutor
from app.limits import Rules
from app.model import Run, Status
from app.stack import Stack
from app.store.runs import Bounds, Runs

logger = logging.getLogger(__name__)

# Rooms that are made elsewhere, such as by the end of the same user's run at another node, do not ring here.
POLL_SECONDS = 1.0
PRESENT_SECONDS = 5.0
# The epoch of a run that began as it was stored; those of claims are far above.
FIRST_EPOCH = 1
NOT_STARTED = "The server could not start it."
UNANSWERED = "The storage did not answer in time, so this was not started."
SERVER_STOPPED = "The server was stopped before this run's turn came."


def queue_of(executor: str, rules: Rules, node: str) -> str:
    """Where a job's runs wait."""
    if executor == "thread":
        return f"thread:{node}"
    return f"{executor}:{rules.queue or 'default'}" if executor == "celery" else executor


@dataclass(eq=False)
class Waiting:
    """A run that is to begin here, with what its job is called with; `stored`: the store has it."""

    run: Run
    job: Job
    params: dict[str, Any]
    stored: bool = False
    claimed: bool = False
    begins: bool = False
    stopped: bool = False


class Dispatcher:
    """Gives this node's runs their turn; the holder of their leases, those of `executor`'s runs included."""

    def __init__(self, stack: Stack, runs: Runs, executor: LocalExecutor, *, node: str, most: int) -> None:
        self._stack, self._runs, self._executor = stack, runs, executor
        self._node, self._queue, self._most = node, queue_of("thread", Rules(), node), most
        self._waiting: dict[str, Waiting] = {}
        # Ends that the store does not have yet.
        self._ends: dict[str, tuple[Run, Status, str]] = {}
        self._reserved = 0
        self._serving = self._closing = False
        self._present_at = 0.0
        self._lock, self._news = stack.lock(), stack.signal()
        executor.on_room = self._news.set

    def create(self, run: Run, job: Job, params: dict[str, Any], key: str | None, bounds: Bounds) -> Run:
        """Store a new run, as Runs.create; follow it by `begin` where it is not another's.

        Raises: as Runs.create.
        """
        waiting = Waiting(run, job, params)
        with self._lock:
            self._waiting[run.id] = waiting
            begins = self._room() > 0
            self._reserved += begins
        if begins:
            run = replace(run, status=Status.RUNNING, started=run.created, epoch=FIRST_EPOCH)
        stored = None
        try:
            stored = self._runs.create(run, key, bounds)
        finally:
            with self._lock:
                if stored is None or stored.id != run.id:
                    self._waiting.pop(run.id, None)
                else:
                    waiting.run = waiting.run if waiting.claimed else stored
                    waiting.stored = True
                    begins = begins and not _begun(stored)
                self._reserved -= begins
        return stored

    def _room(self) -> int:
        return self._most - len(self._executor.held()) - self._reserved

    def begin(self, run: Run) -> None:
        """Begin a run that `create` has stored, unless it waits.

        Raises: what its executor raises; then it has not begun.
        """
        if _begun(run):
            try:
                self._start(self._waiting.get(run.id))
            finally:
                with self._lock:
                    self._waiting.pop(run.id, None)
                    self._reserved -= 1
        # There may be room by now, which rang before this run was there.
        self._news.set()
        with self._lock:
            if self._serving or not self._busy:
                return
            self._serving = True
        self._stack.spawn(self._serve)

    @property
    def _busy(self) -> bool:
        return bool(self._waiting or self._ends)

    def _start(self, waiting: Waiting | None) -> None:
        """Have the executor start a run, unless it was stopped; one that is stopped meanwhile stops at once."""
        with self._lock:
            if waiting is None or waiting.run.id not in self._waiting:
                return
            waiting.begins = True
        begun = False
        try:
            self._executor.start(waiting.run, waiting.job, waiting.params)
            begun = True
        finally:
            # In one step: a Stop either comes before it, and is seen below, or finds the run with the executor.
            with self._lock:
                waiting.begins = False
                # One that was claimed and could not begin is tried again.
                if begun or not waiting.claimed:
                    self._waiting.pop(waiting.run.id, None)
        if waiting.stopped:
            self._executor.stop(waiting.run.id)

    def _serve(self) -> None:
        """Until nothing waits: start what may begin, and record the ends of what never will."""
        while True:
            with self._lock:
                if not self._busy:
                    self._serving = False
                    return
            again = False
            try:
                self._record_ends()
                again = self._turn()
            except StoreUnavailable:
                # The health of the store is another module's matter, which tells of it once.
                pass
            except Exception:
                logger.exception("a waiting run could not get its turn; it is tried again")
            if not again and self._busy:
                self._news.wait(POLL_SECONDS)

    def _record_ends(self) -> None:
        for run, status, message in list(self._ends.values()):
            self._runs.finish(run.id, None, status, message=message)
            with self._lock:
                self._ends.pop(run.id, None)

    def _turn(self) -> bool:
        """Start the next run; False where none may begin."""
        if time.monotonic() - self._present_at > PRESENT_SECONDS:
            self._runs.present(self._queue, self._node)
            self._present_at = time.monotonic()
        with self._lock:
            if self._closing or self._room() <= 0 or not self._waiting:
                return False
            self._reserved += 1
        try:
            waiting = self._claimed()
            if waiting is None:
                return False
            self._try(waiting)
        finally:
            with self._lock:
                self._reserved -= 1
        return True

    def _claimed(self) -> Waiting | None:
        """A claimed run: one that could not begin before, or the next in the queue."""
        before = next((each for each in list(self._waiting.values()) if each.claimed), None)
        if before is not None:
            return before
        run = self._runs.take(self._queue, self._node)
        if run is None:
            return None
        with self._lock:
            waiting = self._waiting.get(run.id)
            if waiting is not None and not self._closing:
                waiting.run, waiting.claimed, waiting.stored = run, True, True
                return waiting
            self._waiting.pop(run.id, None)
            if run.id not in self._ends:
                self._ends[run.id] = self._end_of(run)
        return None

    def _end_of(self, run: Run) -> tuple[Run, Status, str]:
        """The end of a run that was claimed and cannot begin."""
        if self._closing:
            return run, Status.STOPPED, SERVER_STOPPED
        if self._executor.local(run.id) is not None:
            # It happens here already, and the store has forgotten that: never twice.
            return run, Status.LOST, "The storage has forgotten that this run had begun."
        return run, Status.FAILED, UNANSWERED

    def _try(self, waiting: Waiting) -> None:
        try:
            self._start(waiting)
        except StoreUnavailable:
            # It keeps its claim, and begins when the store is back.
            if waiting.stopped:
                self.stop(waiting.run.id)
            raise
        except Exception as error:
            logger.exception("run %s of job %s could not be started", waiting.run.id, waiting.run.job)
            reason = str(error) if isinstance(error, RealtimeError) else NOT_STARTED
            with self._lock:
                self._waiting.pop(waiting.run.id, None)
                # A Stop that came meanwhile has said how it ends.
                self._ends.setdefault(waiting.run.id, (waiting.run, Status.FAILED, reason))

    def held(self) -> list[Run]:
        """As Holder.held."""
        with self._lock:
            waiting = [each.run for each in self._waiting.values() if each.stored]
            ending = [run for run, _, _ in self._ends.values()]
        found = {run.id: run for run in (*waiting, *ending, *self._executor.held())}
        return list(found.values())

    def local(self, run_id: str) -> Run | None:
        """The run as far as this process knows it, if it waits or happens here."""
        waiting, ending = self._waiting.get(run_id), self._ends.get(run_id)
        if waiting is not None:
            return waiting.run
        return ending[0] if ending is not None else self._executor.local(run_id)

    def stop(self, run_id: str) -> None:
        """As Holder.stop; a run that waits never begins."""
        with self._lock:
            waiting = self._waiting.get(run_id)
            if waiting is not None and waiting.begins:
                waiting.stopped = True
            elif waiting is not None:
                del self._waiting[run_id]
                self._ends[run_id] = (waiting.run, Status.STOPPED, "")
        self._executor.stop(run_id)
        self._news.set()

    def kill(self, run_id: str) -> None:
        """As Holder.kill: nothing kills a thread."""
        self.stop(run_id)

    def shutdown(self, seconds: float) -> None:
        """The node goes away: what waits is stopped, and what happens as Executor.shutdown has it."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._closing = True
            for run_id, waiting in list(self._waiting.items()):
                if not waiting.begins:
                    del self._waiting[run_id]
                    self._ends[run_id] = (waiting.run, Status.STOPPED, SERVER_STOPPED)
        # Where the store is away too, the other servers find that the leases have run out.
        with contextlib.suppress(StoreUnavailable):
            self._record_ends()
        self._executor.shutdown(max(0.0, deadline - time.monotonic()))


def _begun(run: Run) -> bool:
    """Did it begin as it was stored? Else the queue has it, or had it."""
    return run.status is Status.RUNNING and run.epoch == FIRST_EPOCH
