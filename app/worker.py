"""`python -m app worker`: a Celery worker, whose main process hears the broker and whose pool supervises runs."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from app import logs
from app.broker import PREFIX, TASK, at_broker, broker_url, make_celery, missing, waiting_at
from app.config import Settings
from app.errors import ConfigError, StoreUnavailable
from app.limits import QUEUE_NAME
from app.model import new_id
from app.stack import make_stack
from app.store.connection import connect
from app.store.runs import Runs
from app.taker import Taker

logger = logging.getLogger(__name__)

PRESENT_SECONDS = 4.0
DEAF_CODE = 3
STORE_SECONDS = 2.0
# For a machine under load: a process of the pool that is not up by then is taken for dead.
PROCESS_SECONDS = 60.0


def work(settings: Settings, queues: str, alive: Path | None = None) -> int:
    """Take runs from `queues`, names separated by commas, until told to end; the exit code.

    The file `alive` is touched every few seconds while the worker hears its broker and reaches the store.

    Raises: ConfigError.
    """
    names = _names(queues)
    lacking = missing(settings)
    if lacking:
        raise ConfigError(f"BROKER_HOST: missing; a worker hears of runs by a broker: {lacking}")
    logs.configure(settings.log_format, secrets=settings.secrets)
    from celery.exceptions import SecurityWarning

    # Celery's warning to root is about pickle, and this worker reads JSON alone.
    warnings.simplefilter("ignore", SecurityWarning)
    ends = os.pipe()
    return Worker(settings, names, ends, alive).run()


def _names(queues: str) -> list[str]:
    names = [name.strip() for name in queues.split(",") if name.strip()]
    wrong = next((name for name in names if not QUEUE_NAME.fullmatch(name)), None)
    if wrong is not None or not names:
        raise ConfigError("--queues: expected names of 1 to 60 letters, digits, `_`, `.` and `-`, separated by commas")
    return [PREFIX + name for name in dict.fromkeys(names)]


class Worker:
    """The main process: Celery's, with a proof that the worker is up and an ear to whether it hears."""

    def __init__(
        self, settings: Settings, queues: Sequence[str], ends: tuple[int, int], alive: Path | None = None
    ) -> None:
        self._alive = alive
        self._settings, self._queues, self._runs, self._ends = settings, list(queues), settings.worker_runs, ends
        self._node = new_id()
        self._leaving, self._told_to_leave = threading.Event(), False
        self._hearing = Hearing(settings, queues)
        self._code = 0
        self._worker: Any = None

    def run(self) -> int:
        """Run until told to end; returns the exit code."""
        logs.always(node=self._node)
        celery = make_celery(self._settings, self._queues)
        celery.conf.update(
            # A hint is done with as soon as it is looked at: who has taken a run is told by the store alone.
            task_acks_late=False,
            worker_prefetch_multiplier=1,
            worker_redirect_stdouts=False,
            worker_hijack_root_logger=False,
            worker_proc_alive_timeout=PROCESS_SECONDS,
        )
        if broker_url(self._settings).startswith("redis"):
            celery.conf.broker_transport = "app.tolerant:Transport"
        taker = Taker(self._settings, self._queues, self._ends[0])

        def take(task: Any, *_args: object, **_kwargs: object) -> None:
            taker.work(str(task.request.delivery_info.get("routing_key")))

        celery.task(take, name=TASK, bind=True, typing=False)
        self._connect_signals(taker)
        self._worker = celery.Worker(
            concurrency=self._runs,
            pool_cls="prefork",
            queues=[at_broker(queue) for queue in self._queues],
            hostname=f"worker@{self._node}",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
        )
        self._worker.start()
        return self._code or self._worker.exitcode or 0

    def _connect_signals(self, taker: Taker) -> None:
        from celery import signals

        def hear(**_: Any) -> None:
            self._hearing.heard()

        def begin(**_: Any) -> None:
            taker.begin()

        def ready(**_: Any) -> None:
            self._ready()

        def leave(**_: Any) -> None:
            self._leave()

        def keep_logging(**_: Any) -> None:
            """Celery sets up no logging of its own where somebody else does."""

        for source, function in (
            (signals.task_received, hear),
            (signals.worker_process_init, begin),
            (signals.worker_ready, ready),
            (signals.worker_shutting_down, leave),
            (signals.setup_logging, keep_logging),
        ):
            source.connect(function, weak=False)

    def _ready(self) -> None:
        # Again after each new connection to the broker.
        self._hearing.heard()
        if threading.current_thread() is threading.main_thread():
            # Celery's write beside the log, and at SIGHUP start this process anew, not as `python -m app` does.
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self._ask_to_end)
        if not any(thread.name == "presence" for thread in threading.enumerate()):
            threading.Thread(target=self._keep_present, daemon=True, name="presence").start()

    def _ask_to_end(self, _number: int, _frame: FrameType | None) -> None:
        from celery.worker import state

        self._leave()
        # What Celery looks at: it takes nothing more, and ends when the pool has.
        state.should_stop = 0

    def _leave(self) -> None:
        # One after the other: a second signal may come at any moment of the first one's handler.
        if not self._told_to_leave:
            self._told_to_leave = True
            self._leaving.set()
            # Read by nobody, so that all processes of the pool see it, those too that are made later.
            os.write(self._ends[1], b"!")

    def _keep_present(self) -> None:
        stack = make_stack("threading")
        runs = Runs(connect(self._settings, stack, timeout=STORE_SECONDS, connections=2))
        told = False
        while not self._leaving.is_set():
            try:
                self._tell(runs)
                if not told:
                    # Who starts a run now finds somebody up.
                    told = True
                    logger.info("ready for %d runs from %s", self._runs, ", ".join(self._queues))
                self._check_hearing()
            except StoreUnavailable as error:
                logger.warning("cannot say that this worker is up: %s", error)
            except Exception:
                logger.exception("the care for this worker failed, and goes on")
            self._leaving.wait(PRESENT_SECONDS)
        logger.info("told to end; runs that go on are stopped after %g s", self._settings.worker_grace)
        with contextlib.suppress(StoreUnavailable):
            for queue in self._queues:
                runs.absent(queue, self._node)

    def _tell(self, runs: Runs) -> None:
        if not self._connected():
            return
        for queue in self._queues:
            runs.present(queue, self._node)
        if self._alive is not None:
            self._alive.touch()

    def _check_hearing(self) -> None:
        if self._hearing.deaf(idle=self._idle()):
            logger.critical("this worker hears nothing though runs wait: it ends, and should be started again")
            self._code = DEAF_CODE
            os.kill(os.getpid(), signal.SIGTERM)

    def _connected(self) -> bool:
        connection = getattr(self._worker.consumer, "connection", None)
        return bool(connection is not None and connection.connected)

    def _idle(self) -> bool:
        from celery.worker import state

        return self._connected() and len(state.active_requests) < self._settings.worker_runs


class Hearing:
    """Whether a worker hears its broker: a connection may be there and bring nothing (celery#8091)."""

    def __init__(self, settings: Settings, queues: Sequence[str]) -> None:
        self._settings, self._queues = settings, queues
        self.heard()

    def heard(self) -> None:
        """Something came, or nothing could have come until now."""
        self._last = time.monotonic()

    def deaf(self, *, idle: bool) -> bool:
        """Has it heard nothing for long though it is idle, and though hints wait for it at the broker?"""
        if not idle:
            self.heard()
        if time.monotonic() - self._last < self._settings.worker_deaf_seconds:
            return False
        if any(waiting_at(self._settings, queue) for queue in self._queues):
            return True
        self.heard()
        return False
