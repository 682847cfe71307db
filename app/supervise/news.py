"""News of runs on their way to the store: stages, progress and questions, sent by one thread; nobody waits for them."""

from __future__ import annotations

import logging
import threading
from typing import Any

from app.errors import StoreUnavailable
from app.model import Status
from app.store.runs import Runs

logger = logging.getLogger(__name__)

LIVE = (Status.RUNNING, Status.STOPPING)


class News:
    """Writes the newest values of each run; what comes while the store is away is dropped, as more will come."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._changed = threading.Condition()
        self._waiting: dict[str, dict[str, Any]] = {}
        self._sending = ""
        threading.Thread(target=self._work, name="news", daemon=True).start()

    def tell(self, run_id: str, **values: Any) -> None:
        """Have these written soon; never waits."""
        with self._changed:
            self._waiting.setdefault(run_id, {}).update(values)
            self._changed.notify_all()

    def take_back(self, run_id: str) -> dict[str, Any]:
        """What was not written yet of a run that ends, and will not be."""
        with self._changed:
            self._changed.wait_for(lambda: self._sending != run_id)
            return self._waiting.pop(run_id, {})

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                self._sending = next(iter(self._waiting))
                values = self._waiting.pop(self._sending)
            try:
                self._runs.change(self._sending, LIVE, **values)
            except StoreUnavailable:
                # Told by whoever renews leases.
                pass
            except Exception:
                logger.exception("news of run %s cannot be told", self._sending)
            with self._changed:
                self._sending = ""
                self._changed.notify_all()
