"""Jobs whose output is watched over HTTP; only tests see them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from app.catalog import job


@job
def waits_for(running, *, file: str, first: str = "before\n", then: str = "after\n"):
    """Print, wait in silence until the file is there, print again."""
    sys.stdout.write(first)
    sys.stdout.flush()
    while running() and not Path(file).exists():
        time.sleep(0.05)
    sys.stdout.write(then)


@job
def both(*, pairs: int = 5):
    """Print to both outputs in turn, the last line as bytes that are no text."""
    for number in range(pairs):
        print(f"out {number}", flush=True)
        time.sleep(0.02)
        print(f"err {number}", file=sys.stderr, flush=True)
        time.sleep(0.02)
    sys.stdout.buffer.write(b"\xff\xfe raw\n")


@job(executor="process")
def prints_elsewhere(running, *, count: int = 100, pause: float = 0.02, width: int = 60):
    """Print numbered lines to both outputs, in a process that a restart of the server leaves going."""
    for number in range(count):
        if not running():
            return
        print(f"{number:0{width}d}", file=sys.stderr if number % 5 == 0 else sys.stdout, flush=True)
        time.sleep(pause)


@job(executor="process")
def dies():
    """End by a signal."""
    print("before", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)


@job
def progresses(running, run, *, file: str):
    """Tell how far it is, and wait until the file is there."""
    print("begun", flush=True)
    run.progress(9, 20)
    while running() and not Path(file).exists():
        time.sleep(0.05)


@job(executor="process")
def waits_elsewhere(running):
    """Print, and wait in silence for Stop, in a process of its own."""
    print("before", flush=True)
    while running():
        time.sleep(0.05)
