"""Jobs whose output is watched over HTTP; only tests see them."""

from __future__ import annotations

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
def waits_elsewhere(running):
    """Print, and wait in silence for Stop, in a process of its own."""
    print("before", flush=True)
    while running():
        time.sleep(0.05)
