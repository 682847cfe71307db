"""A run's limits, as far as somebody has to look: time, computing, memory and processes of the whole run."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

from app.child import lineage
from app.model import Status

LOOK_SECONDS = 0.5
# Where a run has more than half of the memory that it may have.
NEAR_SECONDS = 0.1
MEGABYTE = 1_048_576
# Its multiples, less their whole parts, are spread evenly between 0 and 1, however many there are.
GOLDEN = 0.618034
_phases = itertools.count()


@dataclass(frozen=True, slots=True)
class Excess:
    """What was too much: the status and message that the run ends with; `at_once` where Stop would take too long."""

    status: Status
    message: str
    at_once: bool = False


class Watch:
    """Looks at what stands below a warden; `limits` are those of app/limits.py, 0 for none."""

    def __init__(self, warden: int, limits: dict[str, Any]) -> None:
        self._warden, self._limits = warden, limits
        self._began = time.monotonic()
        # Runs that were started together are not looked at together: all other runs' output would wait for it.
        self._phase = next(_phases) * GOLDEN % 1 * LOOK_SECONDS
        self.next = self._began + min(self._phase, limits["seconds"] or LOOK_SECONDS)

    def look(self, printed: int) -> Excess | None:
        """What is too much now, if anything; sets the time of the `next` look."""
        now = time.monotonic()
        self.next = now + LOOK_SECONDS - (now - self._began - self._phase) % LOOK_SECONDS
        limits = self._limits
        seconds, megabytes = limits["seconds"], limits["output_megabytes"]
        if seconds:
            left = self._began + seconds - time.monotonic()
            if left <= 0:
                return Excess(Status.TIMED_OUT, f"It ran for longer than {seconds:g} s, which is its limit.")
            self.next = min(self.next, time.monotonic() + left)
        if megabytes and printed > megabytes * MEGABYTE:
            return Excess(Status.FAILED, f"It printed more than {megabytes:g} MB, which is its limit.")
        if limits["cpu_seconds"] or limits["memory_megabytes"] or limits["processes"]:
            return self._measure()
        return None

    def _measure(self) -> Excess | None:
        limits = self._limits
        processes = lineage.below(self._warden)
        used = lineage.usage_of(processes)
        if limits["processes"] and used.threads > limits["processes"]:
            text = f"It had {used.threads} processes and threads at one time; its limit is {limits['processes']}."
            return Excess(Status.FAILED, text, at_once=True)
        most = (limits["memory_megabytes"] or 0) * MEGABYTE
        if most and used.memory > most / 2:
            self.next = min(self.next, time.monotonic() + NEAR_SECONDS)
            # What forked processes share was counted for each of them.
            if used.memory > most and lineage.exact_memory(processes) > most:
                text = f"Out of memory: it took more than {limits['memory_megabytes']:g} MB, which is its limit."
                return Excess(Status.FAILED, text, at_once=True)
        if limits["cpu_seconds"] and used.cpu > limits["cpu_seconds"]:
            text = f"It computed for longer than {limits['cpu_seconds']:g} s, which is its limit."
            return Excess(Status.TIMED_OUT, text)
        return None
