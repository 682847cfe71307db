"""Celery runs: they wait in the store for a worker, and this web server sees to it that the workers hear of them."""

from __future__ import annotations

import logging
from typing import Any

from app.broker import MOST_HINTS, PREFIX, Broker, broker_url
from app.catalog import Job
from app.config import Settings
from app.errors import BrokerUnavailable, StoreUnavailable
from app.model import Run, Status
from app.stack import Stack
from app.store.runs import Runs

logger = logging.getLogger(__name__)

# So often the hints are counted that wait at the broker, where runs wait in the store: lost ones are made anew.
LOOK_SECONDS = 2.0


class CeleryExecutor:
    """The executor called `celery`; nothing of its runs happens in this process."""

    name = "celery"
    begins = Status.QUEUED

    def __init__(self, settings: Settings, stack: Stack, runs: Runs) -> None:
        self._stack, self._runs = stack, runs
        self._broker = Broker(settings)
        # The stack has made redis' sockets its own, for hub code; RabbitMQ's make their caller wait.
        self._in_hub = broker_url(settings).startswith("redis")
        self._woken = stack.signal()
        self._trouble, self._away = "", False

    @property
    def trouble(self) -> str | None:
        """As Executor.trouble: workers hear of nothing while the broker is away."""
        return self._trouble or None

    def keep(self) -> None:
        """Hint for ever, beside the caller."""
        self._stack.spawn(self._keep)

    def _keep(self) -> None:
        while True:
            try:
                self._hint()
            except StoreUnavailable:
                # The health of the store is another module's matter, which tells of it once.
                pass
            except Exception:
                logger.exception("the hints to workers failed, and go on")
            self._woken.wait(LOOK_SECONDS)

    def _hint(self) -> None:
        queues = [queue for queue in self._runs.queues() if queue.startswith(PREFIX)]
        trouble = ""
        for queue in queues:
            waiting = self._runs.waiting(queue, MOST_HINTS)
            try:
                self._call(queue, waiting)
            except BrokerUnavailable as error:
                trouble = str(error)
                # The other queues are there too.
                break
        # Where nothing waits, nobody was asked.
        if trouble and not self._away:
            logger.warning("%s Celery runs wait until it is back.", trouble)
        elif self._away and queues and not trouble:
            logger.info("the broker answers again")
        self._away = bool(trouble) if queues else self._away
        self._trouble = trouble

    def _call(self, queue: str, waiting: list[str]) -> None:
        if self._in_hub:
            self._broker.hint(queue, waiting)
        else:
            self._stack.call_in_thread(self._broker.hint, queue, waiting)

    def announce(self, _run: Run) -> None:
        """As Executor.announce: the workers are told at once."""
        self._woken.set()

    def start(self, run: Run, _job: Job, _params: dict[str, Any]) -> None:
        """As Executor.start: nothing of such a run begins here."""
        self.announce(run)

    def local(self, _run_id: str) -> Run | None:
        """As Executor.local."""
        return None

    def held(self) -> list[Run]:
        """As Executor.held."""
        return []

    def stop(self, run_id: str) -> None:
        """As Executor.stop: the supervisor at the worker sees what the console has written into the store."""

    def shutdown(self, seconds: float) -> None:
        """As Executor.shutdown: these runs outlive the web server."""
