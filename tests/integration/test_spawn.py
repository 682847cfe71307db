"""Spawning from the template: many runs in one moment, and signals by both of their ways."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.child.job import INTERRUPTED
from app.config import load_settings
from app.supervise.spawn import Spawned, Templates

SECONDS = 20.0
JOBS = """
import os
import signal
import subprocess
import time

from app.catalog import job


@job(executor="process")
def waits():
    time.sleep(600)


@job(executor="process")
def family():
    command = ["sh", "-c", "trap 'echo heard; exit' INT; echo born; while :; do sleep 0.05; done"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        # Only from here on does a Stop not end the job before its child has heard; one that comes in the middle
        # of printing counts a moment later.
        print(child.stdout.readline(), end="", flush=True)
        time.sleep(600)
    finally:
        # `subprocess.run` would kill it after a quarter of a second.
        child.wait()
        print(child.stdout.read(), end="", flush=True)


# Of a library's kind: as it is loaded, it asks to be called around each fork.
forks = []
os.register_at_fork(after_in_parent=lambda: forks and os.kill(os.getpid(), signal.SIGINT))


@job(executor="process")
def forking():
    forks.append("now")
    if not os.fork():
        os._exit(0)
    time.sleep(600)
"""


@pytest.fixture
def templates(tmp_path: Path) -> Iterator[Templates]:
    """A template that has the jobs above."""
    (tmp_path / "jobs.py").write_text(JOBS)
    made = Templates(load_settings(None, jobs=str(tmp_path)))
    made.refresh()
    yield made
    made.close()


@pytest.fixture(params=["group", "no group"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a kernel of now has it, or as one before Linux 6.9."""

    def refuse(*_args: object) -> None:
        raise OSError(22, "Invalid argument")

    if request.param == "no group":
        monkeypatch.setattr(signal, "pidfd_send_signal", refuse)


def begin(templates: Templates, job: str) -> Spawned:
    """A run that has been told to start."""
    spawned = templates.spawn(job)
    user = {"id": "1", "name": "Ann", "email": ""}
    start = {"do": "start", "run": "r", "job": job, "params": {}, "user": user, "api_url": ""}
    spawned.control.sendall(json.dumps(start).encode() + b"\n")
    return spawned


def heard(spawned: Spawned, word: bytes) -> None:
    """Wait until its job has said this."""
    spawned.control.settimeout(SECONDS)
    while word not in spawned.control.recv(4096):
        pass


def printed(spawned: Spawned) -> bytes:
    """What it prints next."""
    poll = select.poll()
    poll.register(spawned.pipes[0], select.POLLIN)
    assert poll.poll(SECONDS * 1000)
    return os.read(spawned.pipes[0], 4096)


def reported(spawned: Spawned) -> int:
    """Its exit code, by its warden's report."""
    spawned.link.settimeout(SECONDS)
    return os.waitstatus_to_exitcode(json.loads(spawned.link.recv(4096))["status"])


@pytest.mark.usefixtures("way")
def test_all_of_a_burst_begin_and_hear_their_signals(templates: Templates) -> None:
    """Thirty runs as fast as they can be asked for, most before there is a spare: none is lost, each can be stopped."""
    runs = [begin(templates, "waits") for _ in range(30)]
    for each in runs:
        heard(each, b"begun")
    for each in runs:
        each.signal(signal.SIGINT)
    assert [reported(each) for each in runs] == [INTERRUPTED] * len(runs)
    for each in runs:
        each.close()


@pytest.mark.usefixtures("way")
def test_a_signal_reaches_the_group(templates: Templates) -> None:
    """A program that the job has started gets it too, as by Ctrl-C in a terminal."""
    templates.spawn("waits").close()
    run = begin(templates, "family")
    assert printed(run) == b"born\n"
    run.signal(signal.SIGINT)
    assert printed(run) == b"heard\n"
    assert reported(run) == INTERRUPTED
    run.close()


@pytest.mark.usefixtures("way")
def test_a_signal_that_comes_too_late_is_nobodys(templates: Templates) -> None:
    """The process has ended, and maybe been reaped: nothing is signalled, and nothing fails."""
    run = begin(templates, "waits")
    heard(run, b"begun")
    run.signal(signal.SIGKILL)
    assert reported(run) == -signal.SIGKILL
    run.signal(signal.SIGINT)
    run.close()
    assert run.process == ()
    run.signal(signal.SIGINT)


def test_an_interrupt_in_the_middle_of_a_fork_counts_after_it(templates: Templates) -> None:
    """The interpreter ignores exceptions of what is called around a fork: the job would never hear of its Stop."""
    run = begin(templates, "forking")
    assert reported(run) == INTERRUPTED
    run.close()
