"""One run under supervision, from its claim to its one final status."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from app.credentials import TokenSource
from app.errors import RealtimeError
from app.masking import SHORTEST, Masker
from app.model import Run, Status
from app.recorder import UNRECORDED, Recorder, finish
from app.supervise.kit import Box, Kit
from app.supervise.outcome import Outcome, ooms
from app.supervise.outputs import Outputs
from app.supervise.spawn import Command, Spawned
from app.supervise.vigil import Vigil

logger = logging.getLogger(__name__)

FAILED = "What supervises this run failed; its log has more."


class Supervised:
    """`work` is the run's thread; any other may call the rest."""

    def __init__(self, run: Run, kit: Kit) -> None:
        self.run, self._kit = run, kit
        self._box, self._masker = Box(), Masker()
        self._vigil: Vigil | None = None
        self.recorder: Recorder | None = None
        # As soon as it has recorded everything.
        self._whole: Recorder | None = None

    def stop(self, reason: str = "") -> None:
        """Ask the run to end, by one stage after the other; the first `reason` becomes its message."""
        self._put(lambda vigil: vigil.stop(reason))

    def kill(self, reason: str = "") -> None:
        """End the run without more patience."""
        self._put(lambda vigil: vigil.kill(reason))

    def look_for_input(self) -> None:
        """Something may have been typed for the run."""
        self._put(Vigil.look_for_input)

    def _put(self, what: Callable[[Vigil], object]) -> None:
        self._box.put(lambda: what(self._vigil) if self._vigil else None)

    def _ends(self) -> bool:
        return self._vigil is not None and self._vigil.ends

    def work(self) -> None:
        """Supervise the run; comes back when its final status is stored."""
        command: Command | None = None
        lease: TokenSource | None = None
        try:
            make = self._kit.commands.get(self.run.job)
            command = make(self.run) if make else None
            spawned = self._kit.templates.spawn(self.run.job, command)
            with contextlib.closing(spawned):
                lease = self._credit(spawned)
                outcome = self._supervise(spawned, lease, command or Command(()))
        except RealtimeError as error:
            outcome = Outcome(Status.FAILED, message=str(error))
        except Exception:
            logger.exception("run %s cannot be supervised", self.run.id)
            outcome = Outcome(Status.LOST, message=FAILED)
        try:
            if command is not None:
                command.cleanup()
        except Exception:
            logger.exception("what run %s used cannot be cleaned up", self.run.id)
        try:
            self._finish(outcome)
        finally:
            self._kit.calls.forget(self.run.id)
            if lease is not None:
                self._kit.credentials.release(lease)
            self._box.close()

    def _credit(self, spawned: Spawned) -> TokenSource | None:
        credentials, user = self._kit.credentials, self.run.user.id
        # Taken now, so that the run may go on with it after a logout; a job that asks for none needs no login's token.
        lease = credentials.lease(user) if "token" in spawned.facts["injected"] else None
        secrets = (*spawned.facts["secrets"], *credentials.secrets(user))
        self._masker.add(each for each in secrets if len(each) >= SHORTEST)
        return lease

    def _supervise(self, spawned: Spawned, lease: TokenSource | None, command: Command) -> Outcome:
        kit, run = self._kit, self.run
        hot = kit.archiver.open(run.id, self._ends)
        self.recorder = Recorder(
            kit.log,
            run.id,
            run.epoch,
            masker=self._masker,
            record_bytes=kit.settings.record_bytes,
            sleep=kit.stack.sleep,
            on_fenced=self.kill,
            ends=self._ends,
            # What is in the pipes and on its way from them, and as much again until a job that is stopped ends.
            last_bytes=2 * kit.settings.pipe_bytes,
            stored=hot.appended,
            has_room=hot.has_room,
        )
        outputs = Outputs(spawned.take_pipes(), kit.waits, self.recorder, self.kill)
        vigil = self._vigil = Vigil(
            run,
            kit,
            spawned,
            self._box,
            masker=self._masker,
            lease=lease,
            printed=lambda: outputs.count,
            trouble=command.trouble,
        )
        vigil.ending.ooms, vigil.ending.as_shell = ooms(), command.as_shell
        kit.reader.add(outputs)
        try:
            vigil.keep()
        finally:
            # With the link the warden ends, and all below it.
            spawned.link.close()
            outputs.finish()
        if outputs.failed:
            return Outcome(Status.LOST, message=UNRECORDED)
        self._whole = self.recorder
        return vigil.ending.outcome()

    def _finish(self, outcome: Outcome) -> None:
        run, message = self.run, self._masker.mask_text(outcome.message)
        values = {"exit_code": outcome.exit_code, "signal": outcome.signal, "message": message}
        # How far it has come may not be stored yet.
        values = {**self._kit.news.take_back(run.id), **values, "stage": None, "asks": None}
        values.pop("status", None)
        finish(self._kit.runs, run, self._whole, self._kit.stack.sleep, outcome.status, **values)
