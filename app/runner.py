"""The runner: a small process of its own that takes process runs from their queue and supervises them.

`python -m app runner`. A restart of the web process leaves it alone; when it is killed, all its runs' processes end
with it and their leases run out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from app import logs
from app.config import Settings
from app.errors import RealtimeError, StoreUnavailable
from app.model import Run, new_id
from app.sandbox import Room, Sandbox
from app.stack import SWITCH_SECONDS, ThreadingStack
from app.store.connection import connect
from app.store.runs import Runs
from app.supervise import Command, SpawnFailed, Supervisor, make_supervisor
from app.typed import JOB, QUEUE

logger = logging.getLogger(__name__)

BELL_SECONDS = 1.0
PRESENT_SECONDS = 5.0
RETRY_SECONDS = 0.5
TEMPLATE_SECONDS = 0.5
POLL_SECONDS = 0.02


class Runner:
    """Takes runs while it has room; closes the descriptor `ready` when it can, touches the file `alive` as it lives."""

    def __init__(self, settings: Settings, ready: int | None = None, alive: Path | None = None) -> None:
        self._settings, self._ready, self._alive = settings, ready, alive
        self._node = new_id()
        self._stopping = threading.Event()
        logs.always(node=self._node)
        # The bell and the turn; and presence, beside them.
        self._runs = Runs(connect(settings, ThreadingStack(), connections=2))
        # Trying its levels takes as long as the template does: both at a time.
        self._sandbox = ThreadPoolExecutor(1, "sandbox").submit(Sandbox, settings)
        commands = {JOB: lambda _run: _in(self._sandbox.result().room())}
        self._supervisor: Supervisor = make_supervisor(settings, self._node, commands=commands)

    def serve(self) -> None:
        """Take runs until told to end by a signal; then let them end, or end them."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        threading.Thread(target=self._keep_template, daemon=True, name="template").start()
        threading.Thread(target=self._be_present, daemon=True, name="presence").start()
        self._tell_level()
        while not self._stopping.is_set():
            try:
                self._take()
            except StoreUnavailable:
                self._stopping.wait(RETRY_SECONDS)
            except Exception:
                logger.exception("the runner could not take a run, and goes on")
                self._stopping.wait(RETRY_SECONDS)
        self._end()

    def _tell_level(self) -> None:
        sandbox = self._sandbox.result()
        # Whoever waits for this process to be ready shows it in a way of its own.
        level = logging.WARNING if not sandbox.enough else logging.INFO if self._ready is None else logging.DEBUG
        logger.log(level, "%s", sandbox.report)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _take(self) -> None:
        if len(self._supervisor.held()) >= self._settings.runner_runs:
            self._stopping.wait(POLL_SECONDS)
            return
        run = self._runs.take(QUEUE, self._node)
        if run is None:
            self._runs.bell(QUEUE, BELL_SECONDS)
            return
        begun = threading.Event()
        threading.Thread(target=self._supervise, args=(run, begun), daemon=True, name=f"run-{run.job}").start()
        # Until it is held, so that nobody counts it out.
        begun.wait()

    def _supervise(self, run: Run, begun: threading.Event) -> None:
        try:
            self._supervisor.run(run, begun.set)
        except Exception:
            logger.exception("run %s was left alone", run.id)
        finally:
            begun.set()

    def _keep_template(self) -> None:
        complained = False
        while not self._stopping.is_set():
            try:
                self._supervisor.prepare()
                complained = False
                if self._ready is not None:
                    with contextlib.suppress(OSError):
                        os.write(self._ready, str(self._sandbox.result().level).encode())
                    os.close(self._ready)
                    self._ready = None
            except SpawnFailed as error:
                if not complained:
                    logger.error("%s", error)  # noqa: TRY400 - a sentence for people, which says it all
                complained = True
            self._stopping.wait(TEMPLATE_SECONDS)

    def _be_present(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(StoreUnavailable):
                self._runs.present(QUEUE, self._node, str(self._sandbox.result().level))
            if self._alive is not None:
                with contextlib.suppress(OSError):
                    self._alive.touch()
            self._stopping.wait(PRESENT_SECONDS)

    def _end(self) -> None:
        with contextlib.suppress(RealtimeError):
            self._runs.absent(QUEUE, self._node)
        held = len(self._supervisor.held())
        if held:
            logger.info("the runner takes no more runs and waits for %d", held)
        deadline = time.monotonic() + self._settings.runner_grace
        while self._supervisor.held() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._supervisor.shutdown(self._settings.stop_grace)
        self._supervisor.close()


def _in(room: Room) -> Command:
    return Command(room.argv, room.env, room.cwd, room.cleanup, room.trouble, room.limits, room.as_shell)


def run_runner(settings: Settings, ready: int | None = None, alive: Path | None = None) -> int:
    """Be the runner until told to end; returns the exit code.

    Raises: ConfigError.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    logs.configure(settings.log_format, secrets=settings.secrets)
    Runner(settings, ready, alive).serve()
    return 0
