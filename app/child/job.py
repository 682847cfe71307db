"""A job in a process of its own: calls its function, and tells the supervisor how it ended."""

from __future__ import annotations

import asyncio
import atexit
import functools
import inspect
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

from app import capture, errors
from app.catalog import Job
from app.child.control import Control, Refused
from app.child.output import Output
from app.executors.context import JobRun, JobToken
from app.model import User

MESSAGE_CHARACTERS = 500
DEFER_SECONDS = 0.002
# As shells have it: 128 and the number of SIGINT.
INTERRUPTED = 130
T = TypeVar("T")
_CAPTURE = f"{Path(capture.__file__).parent}/"
_OURS = (__file__, asyncio.runners.__file__, asyncio.base_events.__file__)


class JobProcess:
    """A process for one job, with all made ready that can be before the job is known."""

    def __init__(self) -> None:
        self._output = Output()
        self._interrupt = Interrupt(self._output)
        signal.signal(signal.SIGINT, self._interrupt)
        # Jobs and libraries have theirs by now: before a fork these are called before them, and after it after them.
        self._interrupt.spare_forks()
        reseed()

    def run(self, connection: socket.socket, job: Job) -> NoReturn:
        """Run a job, which begins when the supervisor says `start`, and end this process with its exit code."""
        self._output.open()
        control = Control(connection)
        start = control.wait_for("start")
        code, message = JobCall(job, control, start, self._output, self._interrupt).run()
        control.say("ended", exit_code=code, message=message)
        os._exit(code)


def reseed() -> None:
    """All children of a template would draw the same numbers; `random` has seen to that by itself."""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


class Interrupt:
    """SIGINT is KeyboardInterrupt, but not where some output would be lost, or the exception itself.

    The one is in the middle of passing output on. The other is in what is called around a fork: its errors are ignored.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._forks: list[None] = []
        self.came = False
        # While this is set none of the job's code is at work, and it is told how that ended: what came is kept.
        self.over = self.kept = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """As a handler of signals is called."""
        if self.over:
            self.kept = True
            return
        # None in a process that the job has forked.
        capture = self._output.capture
        within = capture is not None and capture.within
        if self._forks or within or (frame is not None and frame.f_code.co_filename.startswith(_CAPTURE)):
            threading._start_new_thread(self._again, ())  # type: ignore[attr-defined]
        else:
            self.came = True
            signal.default_int_handler(number, frame)

    def spare_forks(self) -> None:
        """From now on no fork of this process is interrupted between its first step and its last."""
        forks = self._forks
        # No Python code, in which the signal might come. In the child nobody else is at it.
        before = functools.partial(forks.append, None)
        os.register_at_fork(before=before, after_in_parent=forks.pop, after_in_child=forks.clear)

    def go_on(self) -> None:
        """Code that may be interrupted is about to be at work; a Stop that came meanwhile counts now."""
        self.over = False
        if self.kept:
            self.kept, self.came = False, True
            raise KeyboardInterrupt

    @staticmethod
    def _again() -> None:
        time.sleep(DEFER_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)


def _own_errors(ask: Callable[[], T]) -> T:
    """What the supervisor answers; where it refuses, that is the error that it names."""
    try:
        return ask()
    except Refused as error:
        kind = getattr(errors, error.kind, errors.RealtimeError)
        raise kind(str(error)) from None


class JobCall:
    """One call of a job's function."""

    def __init__(self, job: Job, control: Control, start: dict[str, Any], output: Output, interrupt: Interrupt) -> None:
        self._job, self._control, self._start = job, control, start
        self._output, self._interrupt = output, interrupt

    def run(self) -> tuple[int, str]:
        """Call it, wait for its threads as a script would, and run what it left for the end: exit code and message."""
        code, message = self._ended(self._call)
        for last in (self._wait_for_threads, atexit._run_exitfuncs, self._flush):
            # A second Stop may come in each of them, and does not keep the others from being done.
            failed = self._ended(last)
            code, message = failed if failed[0] else (code, message)
        return code, message

    def _ended(self, work: Callable[[], object]) -> tuple[int, str]:
        """Do it: the exit code and the message of what it raised, if anything."""
        interrupt = self._interrupt
        try:
            interrupt.go_on()
            work()
            interrupt.over = True
        except SystemExit as error:
            interrupt.over = True
            return self._exited(error.code)
        except BaseException as error:  # noqa: BLE001 - a job may raise anything
            interrupt.over = True
            return self._failed(error)
        return 0, ""

    def _wait_for_threads(self) -> None:
        if self._output.capture is not None:
            self._output.capture.wait_for_threads()
        else:
            # In a process that the job has forked, as the interpreter does at its end.
            threading._shutdown()

    def _flush(self) -> None:
        self._output.flush()
        if self._output.capture is None:
            # A process that the job has forked, and that has come out of its code: it prints as any other does.
            sys.stdout.flush()
            sys.stderr.flush()

    def _call(self) -> None:
        values = self._job.parse(self._start["params"])
        offered = self._offered()
        injected = {name: offered[name] for name in self._job.injected}
        self._control.say("begun")
        work = self._job.function(**values, **injected)
        if inspect.isawaitable(work):
            asyncio.run(self._await(work))

    def _offered(self) -> dict[str, Any]:
        control, user = self._control, User(**self._start["user"])
        return {
            "running": control.running,
            "token": JobToken(lambda: _own_errors(control.token), self._start["api_url"]),
            "user": user,
            "run": JobRun(
                self._start["run"],
                user,
                lambda values: control.say("progress", progress=values["progress"]),
                lambda name, value: _own_errors(lambda: control.channel(name, value)),
            ),
        }

    async def _await(self, work: Awaitable[object]) -> None:
        loop, task, control = asyncio.get_running_loop(), asyncio.current_task(), self._control
        assert task is not None  # noqa: S101 - asyncio.run made it
        control.on_ask = lambda: loop.call_soon_threadsafe(task.cancel)
        loop.add_reader(control.fileno(), control.look)
        if control.asked:
            # It was read together with what began the job.
            loop.call_soon(task.cancel)
        else:
            control.look()
        try:
            await work
        except asyncio.CancelledError:
            if not control.asked:
                raise
        finally:
            if not control.forked:
                # What waits for it belongs to the job's own process, too.
                loop.remove_reader(control.fileno())
            control.on_ask = lambda: None

    def _exited(self, code: object) -> tuple[int, str]:
        if code is None or isinstance(code, int):
            number = (code or 0) & 0xFF
        else:
            self._say(f"{code}\n")
            number = 1
        return number, f"exit code {number}" if number else ""

    def _failed(self, error: BaseException) -> tuple[int, str]:
        if isinstance(error, KeyboardInterrupt) and self._interrupt.came:
            # Somebody pressed Stop, and knows.
            return INTERRUPTED, "KeyboardInterrupt"
        # The frames above the job's own are ours and tell its author nothing.
        step = error.__traceback__
        while step is not None and step.tb_frame.f_code.co_filename in _OURS and step.tb_next is not None:
            step = step.tb_next
        self._say("".join(traceback.format_exception(type(error), error, step)))
        last = traceback.format_exception_only(type(error), error)[-1].strip()
        return 1, last[:MESSAGE_CHARACTERS]

    def _say(self, text: str) -> None:
        if self._output.capture is not None:
            self._output.capture.replaced.clear()
            self._output.capture.closed.clear()
        sys.stderr.write(text)
