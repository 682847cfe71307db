"""Retention: ended runs go to the archive, and one day their log, archive, record and history entry go together."""

from __future__ import annotations

import logging
import time

from app.archiver import Archiver
from app.config import Settings
from app.errors import RealtimeError
from app.stack import Stack
from app.store.archive import Archive
from app.store.ended import EndedRuns
from app.store.runs import Runs

logger = logging.getLogger(__name__)

DAY = 86_400
LONGEST_PAUSE = 30.0
SHORTEST_PAUSE = 1.0
CLAIM_SECONDS = 90.0
ORPHAN_SECONDS = 3600.0
USERS = 500


class Retention:
    """The sweeper of one node; of all nodes of a store, one at a time works."""

    def __init__(
        self,
        settings: Settings,
        stack: Stack,
        *,
        runs: Runs,
        ended: EndedRuns,
        archive: Archive,
        archiver: Archiver,
        node: str,
    ) -> None:
        self._stack, self._runs, self._ended, self._node = stack, runs, ended, node
        self._archive, self._archiver = archive, archiver
        self._cool_seconds = settings.archive_minutes * 60
        self._keep_seconds, self._keep_runs = settings.keep_days * DAY, settings.keep_runs
        self._looked_at = 0.0
        self._orphans_at = time.monotonic()

    def keep(self) -> None:
        """For ever: sweep."""
        pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, self._cool_seconds / 4))
        while True:
            self._stack.sleep(pause)
            try:
                if self._ended.claim(self._node, CLAIM_SECONDS):
                    self.sweep()
            except RealtimeError as error:
                logger.warning("old runs are not looked after: %s", error)
            except Exception:
                logger.exception("old runs are not looked after now")

    def sweep(self) -> None:
        """Do what is due now.

        Raises: StoreUnavailable.
        """
        now = time.time()
        if self._keep_seconds:
            self._delete(self._ended.ended(now - self._keep_seconds))
        else:
            # What somebody began.
            self._delete(self._ended.ended(1))
        if self._keep_runs:
            self._delete_surplus()
        self._cool(now - self._cool_seconds)
        if time.monotonic() - self._orphans_at >= ORPHAN_SECONDS:
            self._orphans_at = time.monotonic()
            self.delete_orphans()

    def _cool(self, before: float) -> None:
        for run_id in self._ended.cooling(before):
            run = self._runs.get(run_id)
            if run is not None and not self._archiver.archive(run_id, run.position):
                # Not to be tried for each of many runs: the next sweep is soon.
                return
            self._ended.archived(run_id)
            self._stack.sleep(0)

    def _delete_surplus(self) -> None:
        while True:
            users, last = self._ended.users_after(self._looked_at, USERS)
            for user in users:
                self._delete(self._ended.surplus(user, self._keep_runs))
            if last == self._looked_at:
                return
            self._looked_at = last

    def _delete(self, run_ids: list[str]) -> None:
        for run_id in run_ids:
            self.delete(run_id)
            self._stack.sleep(0)

    def delete(self, run_id: str) -> bool:
        """Delete a run that has ended, with all that is kept of it; False for a live one, and where that failed.

        Readers find its output ended before any of it goes, and its record goes last: so nobody sees a gap, and a
        deletion that was cut off is ended by a later one.
        """
        if not self._ended.condemn(run_id):
            return False
        run = self._runs.get(run_id)
        try:
            self._stack.call_in_thread(self._archive.delete_run, run_id)
        except OSError as error:
            logger.error("the archive of run %s cannot be deleted: %s", run_id, error.strerror)  # noqa: TRY400
            return False
        self._ended.forget(run_id, run)
        logger.info("run %s was deleted by its age", run_id)
        return True

    def delete_orphans(self) -> None:
        """Delete what the archive has of runs without a record; for a day they may belong to somebody.

        Raises: StoreUnavailable.
        """
        since, before = self._ended.archive_since(), time.time() - DAY
        found = self._stack.call_in_thread(self._archive.runs)
        old = [run_id for run_id, changed in found if since < changed < before]
        for run_id in self._ended.unknown(old):
            logger.warning("the archive has output of run %s, which has no record: deleted", run_id)
            self._stack.call_in_thread(self._archive.delete_run, run_id)
