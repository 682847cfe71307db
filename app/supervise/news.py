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

PAUSE_SECONDS = 0.02
LIVE = (Status.RUNNING, Status.STOPPING)


class News:
    """Writes the newest values of each run; what comes while the store is away is dropped, as more will come."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._changed = threading.Condition()
        self._waiting: dict[str, dict[str, Any]] = {}
        threading.Thread(target=self._work, name="news", daemon=True).start()

    def tell(self, run_id: str, **values: Any) -> None:
        """Have these written soon; never waits."""
        with self._changed:
            self._waiting.setdefault(run_id, {}).update(values)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                waiting, self._waiting = self._waiting, {}
            for run_id, values in waiting.items():
                try:
                    self._runs.change(run_id, LIVE, **values)
                except StoreUnavailable:
                    continue
                except Exception:
                    logger.exception("news of run %s cannot be told", run_id)
            # Jobs may make more of them than anybody can read.
            time.sleep(PAUSE_SECONDS)
