"""Jobs that Celery's workers run; each leaves a mark in a file when it begins, so that nobody can run it in secret."""

from __future__ import annotations

import os
import time
from pathlib import Path

from app.catalog import job


def leave_mark(file):
    """Write down that a run has begun."""
    with open(file, "a") as marks:
        marks.write(f"{os.getpid()} {os.getcwd()}\n")


@job(executor="celery")
def mark(file: str):
    """Leave a mark and be done."""
    leave_mark(file)
    print("done")


@job(executor="celery", queue="gpu")
def mark_on_gpu(file: str):
    """The same where there is what it needs."""
    leave_mark(file)
    print("done")


@job(executor="celery", at_once=1)
def mark_alone(file: str, seconds: float = 0.2):
    """The same, one at a time."""
    leave_mark(file)
    time.sleep(seconds)
    with open(file, "a") as marks:
        marks.write("end\n")


@job(executor="celery")
def stay(running, *, file: str):
    """Leave a mark and go on until it is stopped, or until there is a file beside the first: `file.end`."""
    leave_mark(file)
    print("here", flush=True)
    while running() and not Path(f"{file}.end").exists():
        time.sleep(0.05)
    print("leaving")
