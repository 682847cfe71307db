"""The OS thread of a thread run: calls the job's function, its output bound to the run, and knows how it ended."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from app.capture import Capture, bind
from app.catalog import Job
from app.credentials import TokenSource
from app.executors import interrupt
from app.model import Status
from app.recorder import Recorder

SHORTEST_GRACE = 0.05
POOL_SECONDS = 0.02


@dataclass(frozen=True)
class Outcome:
    """How a job's function ended."""

    status: Status
    exit_code: int | None = None
    message: str = ""


class FlaskThread(threading.Thread):
    """The OS thread of one run: calls the job's function with its parameters, its output bound to `capture`.

    `grace` is the time in seconds of each stage of its Stop, `limit` that which the run may take (0: any).
    """

    def __init__(
        self, job: Job, arguments: dict[str, Any], capture: Capture, *, grace: float = 3.0, limit: float = 0.0
    ) -> None:
        self._began = False
        super().__init__(name=f"job-{job.name}", daemon=True)
        self._job, self._arguments, self.capture = job, arguments, capture
        self.grace, self._limit = max(grace, SHORTEST_GRACE), limit
        self._deadline = time.monotonic() + limit
        # Can it hear the question?
        self.asks = job.is_async or "running" in job.injected
        # By the monotonic clock; None until it is asked to stop.
        self.asked_at: float | None = None
        self._end = Status.STOPPED
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

    def threads(self) -> list[threading.Thread]:
        """The threads of the run, this one first; some may be over."""
        return [self, *self.capture.threads]

    def check_time(self) -> None:
        """Ask the job to stop where it has taken longer than it may."""
        if self._limit and not self._returned and time.monotonic() > self._deadline:
            self._end = Status.TIMED_OUT
            self.stop(f"It ran for longer than {self._limit:g} s, which is its limit.")

    def stop(self, reason: str = "", grace: float | None = None) -> None:
        """Ask the job to stop; an async one is cancelled. The first `reason` goes into the run's message.

        A `grace` shorter than its own takes that one's place.
        """
        self._reason = self._reason or reason
        if grace is not None:
            self.grace = max(SHORTEST_GRACE, min(self.grace, grace))
        self.asked_at = self.asked_at or time.monotonic()
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
        ended: BaseException | None = None
        try:
            self.outcome = interrupt.within(self.capture, self._call)
        except BaseException as error:  # noqa: BLE001 - a job may raise anything
            ended = error
        # From here on no Stop is raised in this thread: the rest has to be done.
        try:
            interrupt.disarm()
        except interrupt.Stopped:
            # The job waited in C code, which ended in an error of its own: what was to be raised then came with this
            # call's beginning.
            interrupt.disarm()
        try:
            if ended is not None:
                self.outcome = self._exited(ended.code) if isinstance(ended, SystemExit) else self._failed(ended)
        finally:
            try:
                self._wait_for_threads()
            finally:
                if self._asked:
                    message = self._reason or self.outcome.message
                    self.outcome = replace(self.outcome, status=self._end, message=message)
                self._returned = True
                self.capture.close()
                bind(None)

    def _wait_for_threads(self) -> None:
        self.capture.wait_for_threads()
        while self._asked and interrupt.busy_pool_workers(self.capture):
            # Stopped means that nothing of it lives; a pool's thread is not waited for, since it may serve others.
            time.sleep(POOL_SECONDS)

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
        cancels = [task.cancel] if task is not None else []

        def once() -> None:
            # Stop may be passed on again: a second one would break the job's cleaning up off.
            while cancels:
                cancels.pop()()

        self._cancel = lambda: loop.call_soon_threadsafe(once)
        try:
            if self._asked:
                once()
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
        if isinstance(error, interrupt.Stopped):
            return Outcome(Status.FAILED, None, "It went on after Stop, so an exception ended it.")
        last = traceback.format_exception_only(type(error), error)[-1].strip()
        return Outcome(Status.FAILED, 1, last[:500])

    def _say(self, text: str) -> None:
        self.capture.replaced.clear()
        self.capture.closed.clear()
        sys.stderr.write(text)


_OURS = (__file__, interrupt.__file__, asyncio.runners.__file__, asyncio.base_events.__file__)
