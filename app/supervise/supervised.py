"""One run under supervision: its processes, its outputs, its Stop, its limits, its questions, its one final status."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from app.archiver import Archiver
from app.config import Settings
from app.credentials import Credentials, TokenSource
from app.errors import RealtimeError, StoreUnavailable
from app.masking import SHORTEST, Masker
from app.model import Run, Status
from app.recorder import Recorder
from app.stack import Stack
from app.store.calls import Calls
from app.store.log import Log
from app.store.runs import Runs
from app.supervise.limits import Excess, Watch
from app.supervise.news import News
from app.supervise.outcome import Ending, Outcome, ooms
from app.supervise.outputs import Outputs
from app.supervise.spawn import Command, Spawned, Templates
from app.supervise.stages import ASK, INTERRUPT, KILL, TERMINATE, Stages

logger = logging.getLogger(__name__)

RETRY_SECONDS = (0.05, 1.0)
RECEIVE_BYTES = 65_536
# A job that says so much without an end of a line, or takes so little of what it is told, is not ours.
LONGEST_BYTES = 1_048_576
TROUBLE_SECONDS = 0.5
# A Stop waits so long for the job's code to begin: what gets a signal before that does not know it yet.
UNBEGUN_SECONDS = 1.0
SIGNALS = {INTERRUPT: signal.SIGINT, TERMINATE: signal.SIGTERM, KILL: signal.SIGKILL}


@dataclass(frozen=True)
class Kit:
    """What every supervised run needs."""

    settings: Settings
    stack: Stack
    runs: Runs
    log: Log
    archiver: Archiver
    credentials: Credentials
    calls: Calls
    news: News
    templates: Templates
    commands: Mapping[str, Callable[[Run], Command]]


class Supervised:
    """A run from its claim to its end; `work` is its thread, any other may call `stop`, `kill`, `look_for_input`."""

    def __init__(self, run: Run, kit: Kit) -> None:
        self.run, self._kit = run, kit
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake_guard = threading.Lock()
        self._todo: deque[Callable[[], object]] = deque()
        self._ending = Ending(ooms=ooms())
        self._over = self._begun = self._wanted = self._asks = False
        self._wanted_at = 0.0
        self._stages: Stages | None = None
        self._outbox, self._inbox = bytearray(), b""
        self.recorder: Recorder | None = None

    # From any thread.

    def stop(self, reason: str = "") -> None:
        """Ask the run to end, by one stage after the other; the first `reason` becomes its message."""
        self._call(lambda: self._stop(reason))

    def kill(self, reason: str = "") -> None:
        """End the run without more patience."""
        self._call(lambda: self._kill(reason))

    def look_for_input(self) -> None:
        """Something may have been typed for the run."""
        self._call(self._ask_for_input)

    @property
    def ends(self) -> bool:
        """Is this the run's end?"""
        return self._over or self._wanted

    def _call(self, function: Callable[[], object]) -> None:
        self._todo.append(function)
        with self._wake_guard:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    # The run's own thread.

    def work(self) -> None:
        """Supervise the run to its final status; comes back when that is stored."""
        lease: TokenSource | None = None
        masker = Masker()
        command: Command | None = None
        try:
            make = self._kit.commands.get(self.run.job)
            command = make(self.run) if make else None
            spawned = self._kit.templates.spawn(self.run.job, command)
            try:
                lease = self._credit(spawned, masker)
                outcome = self._supervise(spawned, masker, lease, command)
            finally:
                spawned.link.close()
                spawned.control.close()
        except RealtimeError as error:
            outcome = Outcome(Status.FAILED, message=str(error))
        except Exception:
            logger.exception("run %s cannot be supervised", self.run.id)
            outcome = Outcome(Status.LOST, message="The supervisor of this run failed; its log has more.")
        finally:
            if command is not None:
                command.cleanup()
        self._finish(outcome, masker)
        if lease is not None:
            self._kit.credentials.release(lease)
        with self._wake_guard:
            os.close(self._wake)
            self._wake = -1

    def _credit(self, spawned: Spawned, masker: Masker) -> TokenSource | None:
        credentials, user = self._kit.credentials, self.run.user.id
        lease = credentials.lease(user) if "token" in spawned.facts["injected"] else None
        secrets = (*spawned.facts["secrets"], *credentials.secrets(user))
        masker.add(each for each in secrets if len(each) >= SHORTEST)
        return lease

    def _supervise(
        self, spawned: Spawned, masker: Masker, lease: TokenSource | None, command: Command | None
    ) -> Outcome:
        kit, run, facts = self._kit, self.run, spawned.facts
        hot = kit.archiver.open(run.id, lambda: self.ends)
        self.recorder = Recorder(
            kit.log,
            run.id,
            run.epoch,
            masker=masker,
            record_bytes=kit.settings.record_bytes,
            sleep=kit.stack.sleep,
            on_fenced=self.kill,
            ends=lambda: self.ends,
            last_bytes=2 * kit.settings.pipe_bytes,
            stored=hot.appended,
        )
        outputs = Outputs(spawned.out, spawned.err, self.recorder, kit.stack, self.kill)
        self._stages = Stages(
            asks=facts["is_async"] or "running" in facts["injected"],
            grace=facts["grace"],
            act=lambda stage: self._act(spawned, stage),
            tell=lambda stage: kit.news.tell(run.id, status=Status.STOPPING, stage=stage),
        )
        self._spawned, self._masker, self._lease = spawned, masker, lease
        self._watch, self._outputs = Watch(facts["warden"], facts["limits"]), outputs
        self._trouble = command.trouble if command else lambda: None
        self._next_trouble = 0.0
        self._say(do="start", **self._start())
        outputs.start()
        try:
            self._loop()
        finally:
            self._over = True
            # With the link the warden ends, and all below it.
            spawned.link.close()
            outputs.finish()
        if outputs.failed:
            return Outcome(Status.LOST, message="The runner failed to record this run's output.")
        self._ending.stage = self._stages.name
        return self._ending.outcome()

    def _start(self) -> dict[str, Any]:
        run = self.run
        return {
            "run": run.id,
            "job": run.job,
            "params": run.params,
            "user": asdict(run.user),
            "api_url": self._kit.settings.provider_url,
        }

    def _loop(self) -> None:
        link, control = self._spawned.link.fileno(), self._spawned.control.fileno()
        self._spawned.control.setblocking(False)
        poll = select.poll()
        poll.register(link, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._poll = poll
        self._poll_control()
        handlers = {link: self._hear_warden, self._wake: self._do, control: self._hear_job}
        while not self._over:
            for fd, events in poll.poll(self._pause() * 1000):
                if fd == control and events & select.POLLOUT:
                    self._send()
                if fd != control or events & ~select.POLLOUT:
                    handlers[fd]()
            self._look()

    def _pause(self) -> float:
        assert self._stages is not None  # noqa: S101 - made before the loop
        return max(0.0, min(self._stages.until, self._watch.next) - time.monotonic())

    def _look(self) -> None:
        assert self._stages is not None  # noqa: S101 - made before the loop
        self._stages.look()
        now = time.monotonic()
        if self._wanted and now - self._wanted_at > UNBEGUN_SECONDS:
            # Whatever keeps it from beginning.
            self._stages.begin()
        if now < self._watch.next or self._over:
            return
        excess = self._watch.look(self._outputs.count)
        if excess is None and now >= self._next_trouble:
            self._next_trouble = now + TROUBLE_SECONDS
            text = self._trouble()
            excess = Excess(Status.FAILED, text, at_once=True) if text else None
        if excess is not None and not self._ending.excess:
            self._ending.excess = self._ending.excess or excess
            self._wanted, self._wanted_at = True, now
            (self._stages.kill if excess.at_once else self._stages.begin)()

    def _do(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while self._todo:
            self._todo.popleft()()

    def _stop(self, reason: str) -> None:
        if not self._wanted:
            self._wanted, self._wanted_at, self._ending.reason = True, time.monotonic(), reason
            if self._stages is not None and self._begun:
                self._stages.begin()

    def _kill(self, reason: str) -> None:
        if not self._wanted:
            self._wanted, self._wanted_at, self._ending.reason = True, time.monotonic(), reason
        if self._stages is not None:
            self._stages.kill()

    def _act(self, spawned: Spawned, stage: str) -> None:
        if stage == ASK:
            self._say(do="ask")
        else:
            spawned.signal(SIGNALS[stage])

    # The warden.

    def _hear_warden(self) -> None:
        try:
            data = self._spawned.link.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        message: dict[str, Any] = json.loads(data) if data else {}
        if not message or "status" in message:
            self._ending.wait_status = message.get("status")
            # What the job said last may not be read yet.
            self._hear_job()
            self._over = True

    # The job.

    def _say(self, **message: Any) -> None:
        if len(self._outbox) < LONGEST_BYTES:
            self._outbox += json.dumps(message).encode() + b"\n"
            self._send()

    def _send(self) -> None:
        with suppress(BlockingIOError):
            try:
                while self._outbox:
                    del self._outbox[: self._spawned.control.send(self._outbox)]
            except BlockingIOError:
                raise
            except OSError:
                # The job has closed it, or has ended.
                self._outbox.clear()
        self._poll_control()

    def _poll_control(self) -> None:
        poll = getattr(self, "_poll", None)
        if poll is not None and self._spawned.control.fileno() >= 0:
            poll.register(self._spawned.control, select.POLLIN | (select.POLLOUT if self._outbox else 0))

    def _hear_job(self) -> None:
        data, ended = b"", False
        if self._spawned.control.fileno() < 0:
            return
        try:
            while piece := self._spawned.control.recv(RECEIVE_BYTES):
                data += piece
            ended = True
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        *lines, self._inbox = (self._inbox + data).split(b"\n")
        for line in lines:
            try:
                self._hear(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                logger.warning("the job of run %s said something strange: %s", self.run.id, type(error).__name__)
        if ended or len(self._inbox) > LONGEST_BYTES:
            self._poll.unregister(self._spawned.control)
            self._spawned.control.close()

    def _hear(self, message: dict[str, Any]) -> None:
        kind = message["say"]
        if kind == "begun":
            self._begun = True
            if self._wanted and self._stages is not None:
                self._stages.begin()
        elif kind == "progress":
            done, total = message["progress"]
            self._kit.news.tell(self.run.id, progress=(float(done), float(total)))
        elif kind == "token?":
            self._kit.stack.spawn(self._fetch_token)
        elif kind == "input?":
            self._asks = True
            self._kit.news.tell(self.run.id, asks=str(message["prompt"])[:1000])
            self._ask_for_input()
        elif kind == "ended":
            self._ending.said = (int(message["exit_code"]), str(message["message"]))

    def _fetch_token(self) -> None:
        """In a thread of its own, as the provider may take its time."""
        try:
            token = self._lease() if self._lease is not None else ""
            self._masker.add((token,) if len(token) >= SHORTEST else ())
            answer = {"token": token}
        except RealtimeError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        except Exception:
            logger.exception("no token for run %s", self.run.id)
            answer = {"error": "RealtimeError", "text": "There is no token; the runner's log says why."}
        self._call(lambda: self._say(do="token", **answer))

    def _ask_for_input(self) -> None:
        if not self._asks:
            return
        try:
            found = self._kit.calls.take_input(self.run.id)
        except StoreUnavailable:
            return
        if found is not None:
            self._asks = False
            self._kit.news.tell(self.run.id, asks=None)
            self._say(do="input", line=found[0])

    # The end.

    def _finish(self, outcome: Outcome, masker: Masker) -> None:
        run = self.run
        message = masker.mask_text(outcome.message)
        values = {"exit_code": outcome.exit_code, "signal": outcome.signal, "message": message, "stage": None}
        delay, longest = RETRY_SECONDS
        stored = False
        while not stored:
            try:
                self._kit.runs.finish(run.id, run.epoch, outcome.status, **values)
                stored = True
            except StoreUnavailable:
                self._kit.stack.sleep(delay)
                delay = min(2 * delay, longest)
