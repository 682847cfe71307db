"""The contract that every executor keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from app.catalog import Job
from app.model import Run, Status


class Executor(Protocol):
    """Where runs happen; every method is called by hub code."""

    name: str
    # RUNNING: runs happen in this process, given by `start`. QUEUED: others take them from their queue.
    begins: Status

    @property
    def trouble(self) -> str | None:
        """Why the output of a run here waits to be stored, or why nobody hears of one that others take; or None."""

    def start(self, run: Run, job: Job, params: dict[str, Any]) -> None:
        """Begin a run that is stored and has its turn; its output and its one final status go to the store."""

    def announce(self, run: Run) -> None:
        """A run waits that others take, who may have to be told by another way than the store's bell.

        Raises: RealtimeError where they cannot be told: the run is withdrawn.
        """

    def local(self, run_id: str) -> Run | None:
        """The run as it was started, if it happens in this process: known even while the store is away."""

    def held(self) -> list[Run]:
        """The runs that happen in this process, whose leases it renews."""

    def stop(self, run_id: str) -> None:
        """Ask a run to stop; nothing happens where it is unknown or has ended."""

    def shutdown(self, seconds: float) -> None:
        """The node goes away: stop what cannot outlive it, and come back when it is recorded or time is up."""


class LocalExecutor(Executor, Protocol):
    """One whose runs happen in this process; `on_room` is called when it has room for another run."""

    on_room: Callable[[], object]
