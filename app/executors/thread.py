"""Thread runs: a FlaskThread in the web process runs the job, a pipe processor in the hub records what it prints."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable
from typing import Any

from app.archiver import Archiver
from app.capture import Capture, Pipe, PipeProcessor
from app.catalog import Job
from app.channel_writer import ChannelWriter
from app.config import Settings
from app.credentials import Credentials
from app.errors import StoreUnavailable
from app.executors.context import JobRun, JobToken
from app.executors.flask_thread import FlaskThread, Outcome
from app.executors.recording import Recording
from app.executors.stages import LIVE, Stages
from app.masking import SHORTEST, Masker
from app.model import Record, Run, Status
from app.recorder import UNRECORDED, Recorder, finish, store_all
from app.stack import Stack
from app.store.log import Log
from app.store.runs import Runs

logger = logging.getLogger(__name__)


class ThreadExecutor:
    """The executor called `thread`."""

    name = "thread"
    begins = Status.RUNNING

    def __init__(
        self,
        settings: Settings,
        stack: Stack,
        log: Log,
        runs: Runs,
        *,
        credentials: Credentials,
        archiver: Archiver,
        channels: ChannelWriter,
    ) -> None:
        self._settings, self._stack, self._log, self._runs = settings, stack, log, runs
        self._credentials, self._archiver, self._channels = credentials, archiver, channels
        self._live: dict[str, tuple[Run, FlaskThread]] = {}
        # Called when there is room for another run.
        self.on_room: Callable[[], object] = lambda: None
        self._processor: PipeProcessor[Recording, list[Record]] = PipeProcessor(
            stack, functools.partial(store_all, log)
        )
        self._stages = Stages(stack, runs, lambda: list(self._live.values()))
        stack.spawn(self._stages.watch)

    @property
    def trouble(self) -> str | None:
        """As Executor.trouble."""
        recorders = [thread.recorder for _, thread in list(self._live.values())]
        return next((each.trouble for each in recorders if each and each.trouble), None)

    def start(self, run: Run, job: Job, params: dict[str, Any]) -> None:
        """As Executor.start."""
        stack, masker = self._stack, Masker(self._secrets(run, job))
        pipe = Pipe(self._settings.pipe_bytes, self._processor.bell)
        thread = self._thread(run, job, params, masker, pipe)
        hot = self._archiver.open(run.id, lambda: thread.ends)
        recorder = Recorder(
            self._log,
            run.id,
            run.epoch,
            masker=masker,
            record_bytes=self._settings.record_bytes,
            sleep=self._stack.sleep,
            on_fenced=thread.stop,
            stored=hot.appended,
            has_room=hot.has_room,
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
            raise
        self._processor.add(Recording(pipe, recorder, stack.spawn, functools.partial(self._end, run, thread, masker)))

    def _secrets(self, run: Run, job: Job) -> list[str]:
        tokens = self._credentials.secrets(run.user.id)
        return [each for each in (*job.secrets, *tokens) if len(each) >= SHORTEST]

    def _thread(self, run: Run, job: Job, params: dict[str, Any], masker: Masker, pipe: Pipe) -> FlaskThread:
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
            "run": JobRun(
                run.id,
                run.user,
                lambda values: stack.call_from_thread(tell, values),
                lambda name, value: stack.call_from_thread(self._channels.set, name, value, masker),
            ),
        }
        arguments = {**params, **{name: offered[name] for name in job.injected if name in offered}}
        grace, limit = job.rules.grace, job.rules.limits.seconds
        thread = FlaskThread(
            job,
            arguments,
            Capture(pipe),
            grace=self._settings.stage_seconds if grace is None else grace,
            limit=self._settings.limit_seconds if limit is None else limit,
        )
        thread.lease = lease
        return thread

    def _end(self, run: Run, thread: FlaskThread, masker: Masker, error: Exception | None) -> None:
        outcome = thread.outcome
        if error is not None:
            logger.error("the output of run %s cannot be recorded", run.id, exc_info=error)
            thread.stop()
            outcome = Outcome(Status.LOST, message=UNRECORDED)
        values = {"exit_code": outcome.exit_code, "message": masker.mask_text(outcome.message)}
        # What could not be recorded is not asked for.
        recorder = None if error is not None else thread.recorder
        try:
            finish(self._runs, run, recorder, self._stack.sleep, outcome.status, **values)
        except Exception:
            # Nobody renews its lease any more, so it is lost in a while.
            logger.exception("the end of run %s cannot be recorded", run.id)
        finally:
            del self._live[run.id]
            self.on_room()
            if thread.lease is not None:
                self._credentials.release(thread.lease)

    def announce(self, run: Run) -> None:
        """As Executor.announce: nobody else takes its runs."""

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
            self._stages.wake()

    def shutdown(self, seconds: float) -> None:
        """As Executor.shutdown."""
        deadline = time.monotonic() + seconds
        while self._live and time.monotonic() < deadline:
            # Again and again: one may have been on its way here.
            for _, thread in list(self._live.values()):
                if not thread.ends:
                    # Both stages in this time.
                    thread.stop("The server was stopped.", grace=seconds / 3)
            self._stack.sleep(0.02)
        for run, _ in list(self._live.values()):
            message = f"The server was stopped, and the job did not end within {seconds:.3g} s."
            # Where the store is away too, the other servers find that the lease has run out.
            with contextlib.suppress(StoreUnavailable):
                self._runs.finish(run.id, run.epoch, Status.LOST, message=message)
