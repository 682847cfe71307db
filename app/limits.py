"""What a run may use, and how many of them there may be at one time: what `@job` takes beside the function."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one run may use; None: the server's setting of that name (`LIMIT_SECONDS` ...), 0: no limit.

    `seconds` of wall time and `cpu_seconds` of computing; `memory_megabytes` of the whole run; `processes` and threads
    of the whole run; open `files` of each process; `output_megabytes` printed. A thread run knows `seconds` alone.
    """

    seconds: float | None = None
    cpu_seconds: float | None = None
    memory_megabytes: float | None = None
    processes: int | None = None
    files: int | None = None
    output_megabytes: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How a job's runs get their turn.

    `at_once` runs of the job at one time, of all users together (0: no limit); `queue` names what its runs wait in
    where the executor has several ("" is the common one); `grace` is the time in seconds between two stages of a Stop
    (None: the server's `STAGE_SECONDS`).
    """

    limits: Limits = Limits()
    at_once: int = 0
    queue: str = ""
    grace: float | None = None


def make_rules(*, at_once: int, queue: str, grace: float | None, **limits: Any) -> Rules:
    """The rules that a decorator's arguments make; of `limits`, None stands for what was not given.

    Raises: TypeError or ValueError naming the argument.
    """
    for name, value in limits.items():
        if value is not None:
            _check_number(name, value, whole=name in ("processes", "files"))
    _check_number("at_once", at_once, whole=True)
    if grace is not None:
        _check_number("grace", grace, whole=False)
    if not isinstance(queue, str) or (queue and not QUEUE_NAME.fullmatch(queue)):
        raise ValueError("@job: queue should be 1 to 60 letters, digits, `_`, `.` and `-`")
    return Rules(Limits(**limits), at_once, queue, grace)


def _check_number(name: str, value: Any, *, whole: bool) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < float("inf"):
        raise ValueError(f"@job: {name} should be a {'whole ' if whole else ''}number from 0 on")
