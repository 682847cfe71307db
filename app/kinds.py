"""What a page says of a job before it is started: where it runs, what Stop can do there, and what its runs may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.catalog import Job
from app.config import Settings

GIGABYTE = 1024  # megabytes
_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True, slots=True)
class Kind:
    """Sentences for people: `place` and `stop`, and one for each of the `limits`."""

    place: str
    stop: str
    limits: tuple[str, ...]


def describe(job: Job, settings: Settings) -> Kind:
    """The kind of a job, with the limits that are in force here."""
    grace = settings.stage_seconds if job.rules.grace is None else job.rules.grace
    # What cannot hear the question is interrupted at once.
    asks = job.is_async or "running" in job.injected
    steps = ["asks it first", f"interrupts it after {_time(grace)}"] if asks else ["interrupts it"]
    if job.executor == "thread":
        place = "It runs in a thread of the web server."
        stop = f"Stop {' and '.join(steps)}. A thread cannot be killed: a job that ignores this goes on."
    else:
        place = "It runs in a process of its own."
        if job.executor == "celery":
            queue = f", of those for “{job.rules.queue}”" if job.rules.queue else ""
            place = f"It runs in a process of its own on a worker machine{queue}."
        steps.append(f"tells it to end after {_time(len(steps) * grace)}")
        steps.append(f"and kills it, with all that it has started, after {_time(len(steps) * grace)}")
        stop = f"Stop {', '.join(steps)}, or at once by “Kill now”."
    return Kind(place, stop, tuple(_limits(job, settings)))


def _limits(job: Job, settings: Settings) -> list[str]:
    many = job.rules.at_once
    found = [] if not many else ["One at a time"] if many == 1 else [f"At most {many} at a time"]
    for name, words in _LIMITS.items():
        own, server = getattr(job.rules.limits, name), getattr(settings, f"limit_{name}")
        # The server's own figures for these are far from what a job needs, and so not worth a line.
        value = own if own is not None or name in ("processes", "files") else server
        # A thread run has the web server's memory, and so on.
        if value and (name == "seconds" or job.executor != "thread"):
            found.append(f"At most {words(value)}")
    return found


def _time(seconds: float) -> str:
    for name, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} s"


def _size(megabytes: float) -> str:
    return f"{megabytes / GIGABYTE:g} GB" if megabytes >= GIGABYTE and megabytes % 256 == 0 else f"{megabytes:g} MB"


_LIMITS: dict[str, Callable[[float], str]] = {
    "seconds": _time,
    "cpu_seconds": lambda seconds: f"{_time(seconds)} of computing",
    "memory_megabytes": lambda megabytes: f"{_size(megabytes)} of memory",
    "output_megabytes": lambda megabytes: f"{_size(megabytes)} of output",
    "processes": lambda count: f"{count:g} processes and threads",
    "files": lambda count: f"{count:g} open files",
}
