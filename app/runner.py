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
from app.supervise import STOPPED, Command, SpawnFailed, Supervisor, make_supervisor
from app.threads import start_thread
from app.typed import JOB, QUEUE

logger = logging.getLogger(__name__)

BELL_SECONDS = 1.0
PRESENT_SECONDS = 5.0
RETRY_SECONDS = 0.5
TEMPLATE_SECONDS = 0.5
POLL_SECONDS = 0.02
JOIN_SECONDS = 2.0


class Runner:
    """Takes runs while it has room; closes the descriptor `ready` when it can, touches the file `alive` as it lives."""

    def __init__(self, settings: Settings, ready: int | None = None, alive: Path | None = None) -> None:
        self._settings, self._ready, self._alive = settings, ready, alive
        self._node = new_id()
        # Set by the main thread alone: a signal's handler that did would wait for the thread that it interrupts.
        self._stopping = threading.Event()
        self._told_to_stop = False
        self._presence: threading.Thread
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
        self._presence = threading.Thread(target=self._be_present, daemon=True, name="presence")
        self._presence.start()
        self._tell_level()
        while not self._told_to_stop:
            try:
                self._take()
            except StoreUnavailable:
                time.sleep(RETRY_SECONDS)
            except Exception:
                logger.exception("the runner could not take a run, and goes on")
                time.sleep(RETRY_SECONDS)
        self._stopping.set()
        self._end()

    def _tell_level(self) -> None:
        sandbox = self._sandbox.result()
        # Whoever waits for this process to be ready shows it in a way of its own.
        level = logging.WARNING if not sandbox.enough else logging.INFO if self._ready is None else logging.DEBUG
        logger.log(level, "%s", sandbox.report)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _take(self) -> None:
        if len(self._supervisor.held()) >= self._settings.runner_runs:
            time.sleep(POLL_SECONDS)
            return
        run = self._runs.take(QUEUE, self._node)
        if run is None:
            self._runs.bell(QUEUE, BELL_SECONDS)
            return
        begun = threading.Event()
        start_thread(self._supervise, run, begun, name=f"run-{run.job}")
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
            except Exception:
                logger.exception("a template could not be prepared, and is again")
            self._stopping.wait(TEMPLATE_SECONDS)

    def _be_present(self) -> None:
        while not self._stopping.is_set():
            try:
                self._runs.present(QUEUE, self._node, str(self._sandbox.result().level))
            except StoreUnavailable:
                # Whoever renews leases tells of it.
                pass
            except Exception:
                # Without it this runner would be taken for gone.
                logger.exception("the runner cannot say that it is up, and tries again")
            if self._alive is not None:
                with contextlib.suppress(OSError):
                    self._alive.touch()
            self._stopping.wait(PRESENT_SECONDS)

    def _end(self) -> None:
        # What it says last must not come after this.
        self._presence.join(JOIN_SECONDS)
        with contextlib.suppress(RealtimeError):
            self._runs.absent(QUEUE, self._node)
            # Else those runs' leases run out.
            self._runs.give_up_claims(QUEUE, self._node, STOPPED)
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
