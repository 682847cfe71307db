"""Process runs as the web process knows them: they wait in the queue of the runners, who do all the rest."""

from __future__ import annotations

from typing import Any

from app.catalog import Job
from app.model import Run, Status


class ProcessExecutor:
    """The executor called `process`."""

    name = "process"
    begins = Status.QUEUED
    trouble = None

    def start(self, run: Run, job: Job, params: dict[str, Any]) -> None:
        """As Executor.start: the store has rung the runners' bell."""

    def announce(self, run: Run) -> None:
        """As Executor.announce: the store has rung the runners' bell."""

    def local(self, _run_id: str) -> Run | None:
        """As Executor.local: none happens here."""
        return None

    def held(self) -> list[Run]:
        """As Executor.held: none happens here."""
        return []

    def stop(self, run_id: str) -> None:
        """As Executor.stop: the runner hears of it from the store."""

    def shutdown(self, seconds: float) -> None:
        """As Executor.shutdown: the runs go on."""
