"""Leases: this node proves that its runs live, and finds those of any node for which nobody proves it any more.

No clock decides. A lease runs out in the store, whose clock may jump or which may have been away; so a run counts as
lost only after its lease was missing in several sweeps in a row, in whose time a living holder restores it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from app.errors import StoreUnavailable
from app.model import Run
from app.stack import Stack
from app.store.queue import TIDY_SECONDS
from app.store.runs import Runs

logger = logging.getLogger(__name__)

RENEW_SECONDS = 5.0
RETRY_SECONDS = 1.0
SWEEP_SECONDS = 2.0
OBEY_SECONDS = 0.5
# These sweeps take more time than a renewal with one failed attempt. With a lease of 15 s, a run whose node died is
# lost after 8 to 25 s.
MISSES = 5
GONE = "The server that ran this has gone."


class Holder(Protocol):
    """An executor, as far as its runs' leases go."""

    def held(self) -> list[Run]:
        """The runs that happen here."""

    def stop(self, run_id: str) -> None:
        """Ask a run to stop."""

    def kill(self, run_id: str) -> None:
        """End a run without more patience, where that can be."""


class Leases:
    """The leases of a node's runs, and the watch over all others."""

    def __init__(self, stack: Stack, runs: Runs, holder: Holder) -> None:
        self._stack, self._runs, self._holder = stack, runs, holder
        self._missed: dict[str, int] = {}

    def keep(self) -> None:
        """Renew and sweep, beside the caller, for ever."""
        self._stack.spawn(self._repeat, self.renew, RENEW_SECONDS)
        self._stack.spawn(self._repeat, self.sweep, SWEEP_SECONDS)
        self._stack.spawn(self._repeat, self.obey, OBEY_SECONDS)
        self._stack.spawn(self._repeat, self.tidy, TIDY_SECONDS)

    def _repeat(self, work: Callable[[], None], seconds: float) -> None:
        while True:
            pause = seconds
            try:
                work()
            except StoreUnavailable:
                # The health of the store is another module's matter, which tells of it once.
                pause = min(seconds, RETRY_SECONDS)
            except Exception:
                # A node that stops here would be taken for dead, and its runs for lost.
                logger.exception("the care for leases failed, and goes on")
                pause = min(seconds, RETRY_SECONDS)
            self._stack.sleep(pause)

    def renew(self) -> None:
        """Renew the leases of this node's runs; one that others have called lost is asked to stop.

        Raises: StoreUnavailable.
        """
        held = self._holder.held()
        ended = self._runs.renew(held) if held else []
        # One that ended here meanwhile is none of them.
        still = {run.id for run in self._holder.held()} if ended else set()
        for run in (run for run in ended if run.id in still):
            logger.warning("run %s of job %s has ended elsewhere: it is asked to stop", run.id, run.job)
            self._holder.stop(run.id)

    def obey(self) -> None:
        """Pass on to this node's runs that somebody pressed Stop, or Kill now, at another node.

        Raises: StoreUnavailable.
        """
        held = self._holder.held()
        stop, kill = self._runs.asked_to_end([run.id for run in held]) if held else ([], [])
        for run_id in kill:
            self._holder.kill(run_id)
        for run_id in stop:
            self._holder.stop(run_id)

    def tidy(self) -> None:
        """Give back the slots and places of runs that have ended or are no more, which should be none.

        Raises: StoreUnavailable.
        """
        found = self._runs.tidy()
        if found:
            logger.warning("%d slots or places in queues belonged to no run: they are free again", found)

    def sweep(self) -> None:
        """Look for runs without a lease, and record the end of those that had none for several sweeps.

        Raises: StoreUnavailable.
        """
        before, self._missed = self._missed, {}
        # What a failed sweep would have seen is not known, and then it all begins again: also where the store can be
        # read and not written, since nobody could renew or restore a lease there.
        missing = self._runs.unleased()
        held = {run.id for run in self._holder.held()}
        missed = {run_id: before.get(run_id, 0) + 1 for run_id in missing if run_id not in held}
        for run_id, misses in missed.items():
            if misses >= MISSES and self._runs.lose(run_id, message=GONE):
                logger.warning("run %s is lost: its server has gone", run_id)
        self._missed = missed
