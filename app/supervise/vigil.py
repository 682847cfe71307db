"""The watch over a run's processes: hears its warden and its job, obeys Stop, looks after limits, until all end."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import select
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from math import inf, isfinite
from typing import Any

from app.credentials import TokenSource
from app.errors import RealtimeError, StoreUnavailable
from app.masking import SHORTEST, Masker
from app.model import Run, Status
from app.supervise.kit import Box, Kit
from app.supervise.limits import Excess, Watch
from app.supervise.outcome import Ending
from app.supervise.spawn import Spawned
from app.supervise.stages import ASK, INTERRUPT, KILL, TERMINATE, Stages
from app.supervise.talk import Talk
from app.values import encoded, name_of

logger = logging.getLogger(__name__)

REPORT_BYTES = 4096
TROUBLE_SECONDS = 0.5
RETRY_SECONDS = 1.0
# A stage is news once it has lasted for so long: most runs end at once, and that is told without it, and sooner.
STAGE_TELL_SECONDS = 0.02
# A Stop waits so long for the job's code to begin: what gets a signal before that does not know it yet.
UNBEGUN_SECONDS = 1.0
MESSAGE_CHARACTERS = 500
PROMPT_CHARACTERS = 1000
MOST_SETS = 16
SIGNALS = {INTERRUPT: signal.SIGINT, TERMINATE: signal.SIGTERM, KILL: signal.SIGKILL}


class Vigil:
    """All its methods belong to the run's thread; `printed` tells how many bytes of output there were."""

    def __init__(
        self,
        run: Run,
        kit: Kit,
        spawned: Spawned,
        box: Box,
        *,
        masker: Masker,
        lease: TokenSource | None,
        printed: Callable[[], int],
        trouble: Callable[[], str | None],
    ) -> None:
        self._run, self._kit, self._spawned, self._box = run, kit, spawned, box
        self._masker, self._lease, self._printed, self._trouble = masker, lease, printed, trouble
        facts = spawned.facts
        self._stages = Stages(
            asks=facts["is_async"] or "running" in facts["injected"],
            grace=facts["grace"],
            act=self._act,
            tell=self._note_stage,
        )
        self._stage: dict[str, Any] = {}
        self._stage_due = inf
        self._limits = Watch(facts["warden"], facts["limits"])
        self._poll = select.poll()
        self._poll.register(spawned.link, select.POLLIN)
        self._poll.register(box.fd, select.POLLIN)
        self._talk = Talk(spawned.control, self._poll, self._hear)
        self._waits_for_store = False
        self._begun = self._asks = False
        # Channels to be set, the first of them just now.
        self._sets: deque[tuple[str, str, int]] = deque()
        self._over = False
        self._stopped_at = 0.0
        self._next_trouble = 0.0
        self.ending = Ending()

    @property
    def ends(self) -> bool:
        """Is this the run's end?"""
        return self._over or self._stopped_at > 0

    def keep(self) -> None:
        """Watch until nothing of the run lives; then `ending` is known."""
        run = self._run
        self._talk.say(
            do="start",
            run=run.id,
            job=run.job,
            params=run.params,
            user=asdict(run.user),
            api_url=self._kit.settings.provider_url,
        )
        link = self._spawned.link.fileno()
        while not self._over:
            pause = min(self._stages.until, self._limits.next, self._stage_due) - time.monotonic()
            for fd, events in self._poll.poll(max(0.0, pause) * 1000):
                if fd == link:
                    self._hear_warden()
                elif fd == self._talk.fd:
                    self._talk.attend(events)
                else:
                    self._box.empty()
            self._look()
        self.ending.stage = self._stages.name

    def stop(self, reason: str) -> None:
        """Somebody wants the run to end; the first reason counts."""
        self._note_stop(reason)
        if self._begun:
            self._stages.begin()

    def kill(self, reason: str) -> None:
        """Somebody cannot wait."""
        self._note_stop(reason)
        self._stages.kill()

    def _note_stop(self, reason: str) -> None:
        if not self._stopped_at:
            self._stopped_at, self.ending.reason = time.monotonic(), reason

    def _act(self, stage: str) -> None:
        if stage == ASK:
            self._talk.say(do="ask")
        else:
            self._spawned.signal(SIGNALS[stage])

    def _note_stage(self, stage: dict[str, Any]) -> None:
        self._stage, self._stage_due = stage, time.monotonic() + STAGE_TELL_SECONDS

    def _look(self) -> None:
        self._stages.look()
        now = time.monotonic()
        if now >= self._stage_due:
            self._stage_due = inf
            self._kit.news.tell(self._run.id, status=Status.STOPPING, stage=self._stage)
        if now < self._limits.next or self._over:
            return
        if self._stopped_at and now - self._stopped_at > UNBEGUN_SECONDS:
            # Whatever keeps it from beginning.
            self._stages.begin()
        excess = self._limits.look(self._printed())
        if excess is None and now >= self._next_trouble:
            self._next_trouble = now + TROUBLE_SECONDS
            text = self._trouble()
            excess = Excess(Status.FAILED, text, at_once=True) if text else None
        if excess is not None and self.ending.excess is None and not self._stopped_at:
            self.ending.excess = excess
            self._note_stop("")
            (self._stages.kill if excess.at_once else self._stages.begin)()
        elif excess is not None and excess.at_once:
            self._stages.kill()

    def _hear_warden(self) -> None:
        try:
            data = self._spawned.link.recv(REPORT_BYTES)
        except ConnectionResetError:
            # It has gone without reading a signal that came too late; what it said before is still there.
            data = self._spawned.link.recv(REPORT_BYTES)
        message: dict[str, Any] = json.loads(data) if data else {}
        if not message or "status" in message:
            self.ending.wait_status = message.get("status")
            # What the job said as its last may not be read yet.
            self._talk.hear()
            self._over = True

    def _hear(self, message: dict[str, Any]) -> None:
        handlers = {
            "begun": self._hear_begun,
            "progress": self._hear_progress,
            "token?": self._hear_token,
            "input?": self._hear_input,
            "channel": self._hear_channel,
            "ended": self._hear_ended,
        }
        if message["say"] in handlers:
            handlers[message["say"]](message)

    def _hear_begun(self, _message: dict[str, Any]) -> None:
        self._begun = True
        # What brings typed code into its sandbox takes no signal.
        unheard = self._stages.name == INTERRUPT and self.ending.as_shell
        if self._stopped_at:
            self._stages.begin()
        if unheard:
            self._act(INTERRUPT)

    def _hear_progress(self, message: dict[str, Any]) -> None:
        done, total = map(float, message["progress"])
        if isfinite(done) and isfinite(total):
            self._kit.news.tell(self._run.id, progress=(done, total))

    def _hear_token(self, _message: dict[str, Any]) -> None:
        # A thread for each question: not for those whom no answer awaits.
        if self._lease is None:
            self._talk.say(do="token", error="LoginAgain", text="This run has no token.")
        else:
            self._kit.stack.spawn(self._fetch_token)

    def _hear_input(self, message: dict[str, Any]) -> None:
        before, self._asks = self._asks, True
        # In a list, as the store cannot tell no prompt from an empty one.
        self._kit.news.tell(self._run.id, asks=[_text(message["prompt"], PROMPT_CHARACTERS)])
        if not before:
            self.look_for_input()

    def _hear_channel(self, message: dict[str, Any]) -> None:
        name, value = name_of(message["channel"]), encoded(json.loads(message["value"]))
        # One after the other, in a thread. A job waits for the answer, unless it is interrupted; others get none.
        if len(self._sets) < MOST_SETS:
            self._sets.append((name, value, int(message["number"])))
            if len(self._sets) == 1:
                self._kit.stack.spawn(self._set_channel, *self._sets[0])

    def _hear_ended(self, message: dict[str, Any]) -> None:
        self.ending.said = (int(message["exit_code"]), _text(message["message"], MESSAGE_CHARACTERS))

    def _fetch_token(self) -> None:
        """In a thread of its own, as the provider may take its time."""
        try:
            token = self._lease() if self._lease is not None else ""
            self._masker.add((token,) if len(token) >= SHORTEST else ())
            answer = {"token": token}
        except RealtimeError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        except Exception:
            logger.exception("no token for run %s", self._run.id)
            answer = {"error": "RealtimeError", "text": "There is no token; the runner's log says why."}
        self._box.put(lambda: self._talk.say(do="token", **answer))

    def _set_channel(self, name: str, value: str, number: int) -> None:
        """In a thread of its own, as the store may take its time."""
        try:
            self._kit.channels.set(name, value, self._masker)
            answer = {}
        except RealtimeError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        except Exception:
            logger.exception("run %s cannot set a channel", self._run.id)
            answer = {"error": "RealtimeError", "text": "The channel is not set; the runner's log says why."}
        self._box.put(lambda: self._answer_channel(number, answer))

    def _answer_channel(self, number: int, answer: dict[str, str]) -> None:
        self._sets.popleft()
        if self._sets:
            self._kit.stack.spawn(self._set_channel, *self._sets[0])
        self._talk.say(do="channel", number=number, **answer)

    def look_for_input(self) -> None:
        """Something may have been typed."""
        if not self._asks or self._waits_for_store:
            return
        try:
            self._answer_input(self._kit.calls.take_input(self._run.id))
        except StoreUnavailable:
            # Not here, where Stop and the limits would wait for it, too.
            self._waits_for_store = True
            self._kit.stack.spawn(self._keep_asking)

    def _keep_asking(self) -> None:
        """In a thread of its own."""
        while not self._over:
            self._kit.stack.sleep(RETRY_SECONDS)
            with contextlib.suppress(StoreUnavailable):
                found = self._kit.calls.take_input(self._run.id)
                self._box.put(functools.partial(self._hear_typed, found))
                return

    def _hear_typed(self, found: tuple[str | None] | None) -> None:
        self._waits_for_store = False
        self._answer_input(found)
        # What was typed meanwhile nobody has looked for.
        self.look_for_input()

    def _answer_input(self, found: tuple[str | None] | None) -> None:
        if found is not None:
            self._asks = False
            self._kit.news.tell(self._run.id, asks=None)
            self._talk.say(do="input", line=found[0])


def _text(value: object, most: int) -> str:
    """A text of the job's as it may be stored: halves of characters are in none."""
    return str(value)[:most].encode("utf-8", "replace").decode()
