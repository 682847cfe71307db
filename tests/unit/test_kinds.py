"""What a page says of a job beforehand."""

from __future__ import annotations

from typing import Any

import pytest

from app.catalog import Job
from app.config import Settings
from app.kinds import describe
from app.limits import make_rules
from app.parameters import Parameters

NONE = dict.fromkeys(("seconds", "cpu_seconds", "memory_megabytes", "processes", "files", "output_megabytes"))


def kind(executor: str, *, asks: bool = False, **rules: Any) -> Any:
    """The kind of such a job."""
    made = make_rules(**{**NONE, "at_once": 0, "queue": "", "grace": None, **rules})
    injected = frozenset({"running"}) if asks else frozenset()
    job = Job("a", "A", "", print, executor=executor, rules=made, parameters=Parameters((), injected))
    return describe(job, Settings(_env_file=None))


def test_each_executor_says_what_stop_does() -> None:
    """The stages, with their times; a job that cannot be asked is not said to be."""
    assert kind("thread", asks=True).stop == (
        "Stop asks it first and interrupts it after 3 s. A thread cannot be killed: a job that ignores this goes on."
    )
    assert kind("thread", grace=0.5).stop.startswith("Stop interrupts it. A thread")
    assert kind("process", asks=True).stop == (
        "Stop asks it first, interrupts it after 3 s, tells it to end after 6 s, and kills it, with all that it has "
        "started, after 9 s, or at once by “Kill now”."
    )
    assert "tells it to end after 1 minute, and kills it" in kind("process", grace=60).stop
    assert "worker machine, of those for “gpu”" in kind("celery", queue="gpu").place


@pytest.mark.parametrize(
    ("rules", "limits"),
    [
        ({}, ("At most 1 day", "At most 2 GB of memory")),
        ({"seconds": 0, "memory_megabytes": 0}, ()),
        (
            {"seconds": 90, "memory_megabytes": 300, "at_once": 1},
            ("One at a time", "At most 90 s", "At most 300 MB of memory"),
        ),
        (
            {"seconds": 600, "memory_megabytes": 1536, "at_once": 3, "cpu_seconds": 3600, "processes": 5, "files": 9},
            (
                "At most 3 at a time",
                "At most 10 minutes",
                "At most 1 hour of computing",
                "At most 1.5 GB of memory",
                "At most 5 processes and threads",
                "At most 9 open files",
            ),
        ),
    ],
)
def test_limits_are_said_in_words(rules: dict[str, Any], limits: tuple[str, ...]) -> None:
    """The limits in force: the job's own, else the server's; 0 is none."""
    assert kind("process", **rules).limits == limits


def test_a_thread_has_a_time_limit_alone() -> None:
    """What a thread does not keep to is not promised."""
    assert kind("thread", memory_megabytes=5, seconds=3600).limits == ("At most 1 hour",)
