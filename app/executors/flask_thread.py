"""The OS thread of a thread run: calls the job's function, its output bound to the run, and knows how it ended."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from app.capture import Capture, bind
from app.catalog import Job
from app.credentials import TokenSource
from app.model import Status
from app.recorder import Recorder


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
