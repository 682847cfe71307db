"""News of runs on their way to the store: stages, progress and questions, sent by one thread; nobody waits for them."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from app.errors import StoreUnavailable
from app.model import Status
from app.store.runs import Runs

logger = logging.getLogger(__name__)

LIVE = (Status.RUNNING, Status.STOPPING)
RETRY_SECONDS = 0.5


class News:
    """Writes the newest values of each run, as soon as the store can have them."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._changed = threading.Condition()
        self._waiting: dict[str, dict[str, Any]] = {}
        self._sending = ""
        # Those whose newest values could not be written just now.
        self._failed: set[str] = set()
        self._retry_at = 0.0
        threading.Thread(target=self._work, name="news", daemon=True).start()

    def tell(self, run_id: str, **values: Any) -> None:
        """Have these written soon; never waits."""
        with self._changed:
            self._waiting.setdefault(run_id, {}).update(values)
            self._failed.discard(run_id)
            self._changed.notify_all()

    def take_back(self, run_id: str) -> dict[str, Any]:
        """What was not written yet of a run that ends, and will not be."""
        with self._changed:
            self._changed.wait_for(lambda: self._sending != run_id)
            self._failed.discard(run_id)
            return self._waiting.pop(run_id, {})

    @property
    def _next(self) -> str:
        return next((run_id for run_id in self._waiting if run_id not in self._failed), "")

    def _take(self) -> dict[str, Any]:
        """Wait for values that may be written now, and take them; whose they are is `_sending`."""
        with self._changed:
            while not self._sending:
                self._changed.wait_for(lambda: self._waiting)
                # A full store refuses some and takes others: those that have failed wait for their time, and hold up
                # nobody.
                self._changed.wait_for(lambda: self._next, max(0.0, self._retry_at - time.monotonic()))
                if time.monotonic() >= self._retry_at:
                    self._failed.clear()
                self._sending = self._next
            return self._waiting.pop(self._sending)

    def _settle(self, values: dict[str, Any] | None) -> None:
        """They are written; or they are not, and tried again."""
        with self._changed:
            if values is not None:
                if not self._failed:
                    self._retry_at = time.monotonic() + RETRY_SECONDS
                if self._sending not in self._waiting:
                    self._failed.add(self._sending)
                self._waiting[self._sending] = {**values, **self._waiting.get(self._sending, {})}
            self._sending = ""
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            values = self._take()
            untold = None
            try:
                self._runs.change(self._sending, LIVE, **values)
            except StoreUnavailable:
                # Told by whoever renews leases. A question comes once: it must not be lost.
                untold = values
            except Exception:
                logger.exception("news of run %s cannot be told", self._sending)
            self._settle(untold)
