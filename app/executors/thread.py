"""Thread runs: a FlaskThread in the web process runs the job, a pipe processor in the hub records what it prints."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from app.archiver import Archiver
from app.capture import Capture, Pipe, bind, pipe_processor
from app.catalog import Job
from app.config import Settings
from app.credentials import Credentials, TokenSource
from app.errors import StoreUnavailable, TooMany
from app.executors.context import JobRun, JobToken
from app.masking import SHORTEST, Masker
from app.model import Run, Status
from app.recorder import Recorder
from app.stack import Stack
from app.store.log import Log
from app.store.runs import Runs

logger = logging.getLogger(__name__)

LIVE = (Status.QUEUED, Status.RUNNING, Status.STOPPING)


@dataclass(frozen=True)
class Outcome:
    """How a job's function ended."""

    status: Status
    exit_code: int | None = None
    message: str = ""


class FlaskThread(threading.Thread):
    """The OS thread of one run: calls the job's function with its parameters, its output bound to `capture`."""

    def __init__(self, job: Job, arguments: dict[str, Any], capture: Capture) -> None:
        self._began = False
        super().__init__(name=f"job-{job.name}", daemon=True)
        self._job, self._arguments, self.capture = job, arguments, capture
        self.lease: TokenSource | None = None
        self.recorder: Recorder | None = None
        self._asked = self._returned = False
        self._reason = ""
        self._cancel: Callable[[], object] | None = None
        self.outcome = Outcome(Status.LOST, message="The run's thread ended without a word.")

    @property
    def daemon(self) -> bool:
        """True to the interpreter, which need not wait for it; False to the job, whose threads inherit it.

        So a job's threads are as in a script: it ends when they have, but for those that it made daemons.
        """
        return not self._began

    @daemon.setter
    def daemon(self, value: bool) -> None:
        """Fixed."""

    def running(self) -> bool:
        """May the job go on? False once somebody pressed Stop."""
        return not self._asked

    @property
    def ends(self) -> bool:
        """Is this the run's end: was it asked to stop, or has the job's code returned?"""
        return self._asked or self._returned

    def stop(self, reason: str = "") -> None:
        """Ask the job to stop; an async one is cancelled. The first `reason` goes into the run's message."""
        self._reason = self._reason or reason
        self._asked = True
        cancel = self._cancel
        if cancel is not None:
            try:
                cancel()
            except RuntimeError:
                # Its loop has just closed: the job has ended by itself.
                return

    def run(self) -> None:
        """Run the job; whatever it does, the capture is closed and the outcome known at the end."""
        bind(self.capture)
        self._began = True
        try:
            self.outcome = self._call()
        except SystemExit as error:
            self.outcome = self._exited(error.code)
        except BaseException as error:  # noqa: BLE001 - a job may raise anything
            self.outcome = self._failed(error)
        finally:
            try:
                self.capture.wait_for_threads()
            finally:
                if self._asked:
                    message = self._reason or self.outcome.message
                    self.outcome = replace(self.outcome, status=Status.STOPPED, message=message)
                self._returned = True
                self.capture.close()
                bind(None)

    def _call(self) -> Outcome:
        arguments = {**self._arguments}
        if "running" in self._job.injected:
            arguments["running"] = self.running
        work = self._job.function(**arguments)
        if inspect.isawaitable(work):
            asyncio.run(self._await(work))
        return Outcome(Status.SUCCEEDED, 0)

    async def _await(self, work: Awaitable[object]) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            if self._asked and task is not None:
                task.cancel()
            await work
        except asyncio.CancelledError:
            if not self._asked:
                raise
        finally:
            self._cancel = None

    def _exited(self, code: object) -> Outcome:
        if code is None or isinstance(code, int):
            number = (code or 0) & 0xFF
        else:
            self._say(f"{code}\n")
            number = 1
        return Outcome(Status.FAILED if number else Status.SUCCEEDED, number, f"exit code {number}" if number else "")

    def _failed(self, error: BaseException) -> Outcome:
        # The frames above the job's own are ours and tell its author nothing.
        step = error.__traceback__
        while step is not None and step.tb_frame.f_code.co_filename in _OURS and step.tb_next is not None:
            step = step.tb_next
        self._say("".join(traceback.format_exception(type(error), error, step)))
        last = traceback.format_exception_only(type(error), error)[-1].strip()
        return Outcome(Status.FAILED, 1, last[:500])

    def _say(self, text: str) -> None:
        self.capture.replaced.clear()
        self.capture.closed.clear()
        sys.stderr.write(text)


_OURS = (__file__, asyncio.runners.__file__, asyncio.base_events.__file__)


class ThreadExecutor:
    """The executor called `thread`."""

    name = "thread"
    begins = Status.RUNNING

    def __init__(
        self, settings: Settings, stack: Stack, log: Log, runs: Runs, *, credentials: Credentials, archiver: Archiver
    ) -> None:
        self._settings, self._stack, self._log, self._runs = settings, stack, log, runs
        self._credentials, self._archiver = credentials, archiver
        self._live: dict[str, tuple[Run, FlaskThread]] = {}

    @property
    def trouble(self) -> str | None:
        """As Executor.trouble."""
        recorders = [thread.recorder for _, thread in list(self._live.values())]
        return next((each.trouble for each in recorders if each and each.trouble), None)

    def start(self, run: Run, job: Job, params: dict[str, Any]) -> None:
        """As Executor.start."""
        if len(self._live) >= self._settings.node_runs:
            raise TooMany(f"This server runs {len(self._live)} jobs already. Please wait until one ends.")
        masker = Masker(self._secrets(run, job))
        thread = self._thread(run, job, params, masker)
        recorder = Recorder(
            self._log,
            run.id,
            run.epoch,
            masker=masker,
            record_bytes=self._settings.record_bytes,
            sleep=self._stack.sleep,
            on_fenced=thread.stop,
            stored=self._archiver.open(run.id, lambda: thread.ends).appended,
            ends=lambda: thread.ends,
            # What is in the pipe, and as much again until a job that is stopped looks at `running()`.
            last_bytes=2 * self._settings.pipe_bytes,
        )
        thread.recorder = recorder
        self._live[run.id] = (run, thread)
        try:
            thread.start()
        except BaseException:
            del self._live[run.id]
            thread.capture.close()
            thread.capture.pipe.dispose()
            raise
        self._stack.spawn(self._process, run, thread, recorder, masker)

    def _secrets(self, run: Run, job: Job) -> list[str]:
        tokens = self._credentials.secrets(run.user.id)
        return [each for each in (*job.secrets, *tokens) if len(each) >= SHORTEST]

    def _thread(self, run: Run, job: Job, params: dict[str, Any], masker: Masker) -> FlaskThread:
        stack = self._stack
        # Taken now, so that the run may go on with it after a logout; a job that asks for none needs no login's token.
        lease = self._credentials.lease(run.user.id) if "token" in job.injected else None

        def fresh() -> str:
            token = lease() if lease else ""
            masker.add((token,))
            return token

        def tell(values: dict[str, Any]) -> None:
            # What is only shown is no reason for a run to fail while the store is away: the next call tells more.
            with contextlib.suppress(StoreUnavailable):
                self._runs.change(run.id, LIVE, **values)

        offered = {
            "token": JobToken(lambda: stack.call_from_thread(fresh), self._settings.provider_url),
            "user": run.user,
            "run": JobRun(run.id, run.user, lambda values: stack.call_from_thread(tell, values)),
        }
        arguments = {**params, **{name: offered[name] for name in job.injected if name in offered}}
        thread = FlaskThread(job, arguments, Capture(Pipe(self._settings.pipe_bytes)))
        thread.lease = lease
        return thread

    def _process(self, run: Run, thread: FlaskThread, recorder: Recorder, masker: Masker) -> None:
        try:
            pipe_processor(
                thread.capture.pipe,
                recorder.prepare,
                recorder.store,
                self._stack,
                alone=lambda: len(self._live) == 1,
            )
            recorder.end()
            outcome = thread.outcome
        except Exception:
            logger.exception("the output of run %s cannot be recorded", run.id)
            thread.stop()
            outcome = Outcome(Status.LOST, message="The server failed to record this run's output.")
        values = {"exit_code": outcome.exit_code, "message": masker.mask_text(outcome.message)}
        delay = 0.05
        while True:
            try:
                self._runs.finish(run.id, run.epoch, outcome.status, **values)
                break
            except StoreUnavailable:
                self._stack.sleep(delay)
                delay = min(2 * delay, 1.0)
        del self._live[run.id]
        if thread.lease is not None:
            self._credentials.release(thread.lease)

    def local(self, run_id: str) -> Run | None:
        """As Executor.local."""
        found = self._live.get(run_id)
        return found[0] if found else None

    def held(self) -> list[Run]:
        """As Executor.held."""
        return [run for run, _ in list(self._live.values())]

    def stop(self, run_id: str) -> None:
        """As Executor.stop."""
        found = self._live.get(run_id)
        if found:
            found[1].stop()

    def shutdown(self, seconds: float) -> None:
        """As Executor.shutdown."""
        deadline = time.monotonic() + seconds
        while self._live and time.monotonic() < deadline:
            # Again and again: one may have been on its way here.
            for _, thread in list(self._live.values()):
                if not thread.ends:
                    thread.stop("The server was stopped.")
            self._stack.sleep(0.02)
        for run, _ in list(self._live.values()):
            message = f"The server was stopped, and the job did not end within {seconds:g} s."
            # Where the store is away too, the other servers find that the lease has run out.
            with contextlib.suppress(StoreUnavailable):
                self._runs.finish(run.id, run.epoch, Status.LOST, message=message)
