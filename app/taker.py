"""The hand of a Celery worker: one process of its pool, which takes one run at a time and supervises it.

A hint of the broker says no more than that something waits; what is run is what the store gives.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from app import logs
from app.broker import in_store
from app.config import Settings
from app.errors import StoreUnavailable
from app.model import Run, new_id
from app.stack import make_stack
from app.store.connection import connect
from app.store.runs import Runs
from app.supervise import make_supervisor

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
POLL_SECONDS = 0.1
STOPPED = "The worker was stopped."
# A supervisor, with all of its stages of a Stop, comes to an end by itself.
FOR_EVER = 86_400.0


class Taker:
    """Takes runs from `queues` in turn; made in the main process, usable after `begin` in a process of the pool.

    `end` is a pipe that becomes readable, for all processes of the pool, when the worker shall end.
    """

    def __init__(self, settings: Settings, queues: Sequence[str], end: int) -> None:
        self._settings, self._queues, self._end = settings, list(queues), end
        self._leaving = threading.Event()
        self._stack = make_stack("threading")
        self._runs: Runs
        self._supervisor: Any = None
        self._node = ""

    def begin(self) -> None:
        """Called once in each process of the pool, as soon as it is there."""
        self._node = new_id()
        logs.always(node=self._node)
        self._runs = Runs(connect(self._settings, self._stack, connections=2))
        threading.Thread(target=self._wait_for_end, daemon=True, name="end").start()

    def _wait_for_end(self) -> None:
        self._stack.wait_readable(self._end)
        self._leaving.set()
        time.sleep(self._settings.worker_grace)
        while True:
            # Again and again: one may have been on its way here. The process ends when it holds none.
            if self._held():
                self._supervisor.shutdown(FOR_EVER, STOPPED)
            time.sleep(POLL_SECONDS)

    def _held(self) -> bool:
        return self._supervisor is not None and bool(self._supervisor.held())

    def work(self, hinted: str) -> None:
        """Run what waits in the queue of a hint, then in the worker's other queues in turn, until nothing does.

        The worker's queues alone count, whatever a message says.
        """
        queue = in_store(hinted)
        if queue not in self._queues:
            return
        if self._supervisor is None:
            # Before a run is claimed, whose lease runs, and not sooner: it has threads and a process of its own.
            self._supervisor = make_supervisor(self._settings, self._node)
        index, fruitless = self._queues.index(queue), 0
        while fruitless < len(self._queues):
            run = self._take(self._queues[index])
            index = (index + 1) % len(self._queues)
            fruitless = 0 if run else fruitless + 1
            if run is not None:
                self._run(run)

    def _take(self, queue: str) -> Run | None:
        while not self._leaving.is_set():
            try:
                return self._runs.take(queue, self._node)
            except StoreUnavailable:
                # Asked until it is answered: it may have given a run, with only the answer lost.
                self._leaving.wait(RETRY_SECONDS)
        # Else that run's lease runs out.
        with contextlib.suppress(StoreUnavailable):
            self._runs.give_up_claims(queue, self._node, STOPPED)
        return None

    def _run(self, run: Run) -> None:
        logger.info("run %s of job %s begins", run.id, run.job)
        self._supervisor.run(run)
