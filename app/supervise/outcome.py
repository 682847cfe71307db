"""How a run ended: from what its process said, how the kernel says that it ended, and what was done to it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass

from app.model import Status
from app.supervise.limits import Excess
from app.supervise.spawn import name_of
from app.supervise.stages import KILL

GONE = "What watched over this run was killed, and the run with it."
# As shells have it: an exit code above this is the number of a signal.
SHELL_SIGNALS = 128
NO_MEMORY = "Out of memory: the system had none left."


@dataclass(frozen=True)
class Outcome:
    """A run's final status, with what belongs to it."""

    status: Status
    exit_code: int | None = None
    signal: str = ""
    message: str = ""


@dataclass
class Ending:
    """What is known of a run's end.

    `wait_status` is that of its process, None where its warden is gone; `said` what the job told as its last; `stage`
    how far a Stop came, for `reason`, or for an `excess`. `as_shell`: the process tells signals by its exit code.
    """

    wait_status: int | None = None
    said: tuple[int, str] | None = None
    stage: str = ""
    reason: str = ""
    excess: Excess | None = None
    ooms: int = 0
    as_shell: bool = False

    def outcome(self) -> Outcome:
        """The outcome."""
        if self.excess is not None:
            code, name = self._code_and_signal()
            return Outcome(self.excess.status, code, name, self.excess.message)
        if self.wait_status is None:
            return Outcome(Status.LOST, message=GONE)
        code, name = self._code_and_signal()
        if self.stage:
            killed = name == "SIGKILL" and self.stage == KILL
            return Outcome(Status.KILLED if killed else Status.STOPPED, code, name, self.reason)
        if name:
            return Outcome(Status.FAILED, None, name, self._of_signal(name))
        message = self.said[1] if self.said and self.said[0] == code else f"exit code {code}" if code else ""
        return Outcome(Status.FAILED if code else Status.SUCCEEDED, code, "", message)

    def _code_and_signal(self) -> tuple[int | None, str]:
        status = self.wait_status
        if status is None:
            return None, ""
        if os.WIFSIGNALED(status):
            return None, name_of(os.WTERMSIG(status))
        code = os.WEXITSTATUS(status)
        # Unless the job has said itself that it ends so.
        if self.as_shell and code > SHELL_SIGNALS and not (self.said and self.said[0] == code):
            return None, name_of(code - SHELL_SIGNALS)
        return code, ""

    def _of_signal(self, name: str) -> str:
        if name == "SIGKILL" and ooms() > self.ooms:
            return NO_MEMORY
        with suppress(ValueError, AttributeError):
            return f"ended by {name}: {signal.strsignal(signal.Signals[name])}"
        return f"ended by {name}"


def ooms() -> int:
    """How often the kernel has killed something for want of memory."""
    with suppress(OSError, ValueError), open("/proc/vmstat") as file:
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
