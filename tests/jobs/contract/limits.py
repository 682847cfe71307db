"""The jobs of the contract that take more than they may: each function is a job of each executor that has processes."""

from __future__ import annotations

import os
import time

from ._everywhere import everywhere


@everywhere("process", "celery", seconds=1.5, grace=0.3)
def too_long():
    """Take longer than it may."""
    print("long")
    time.sleep(600)


@everywhere("process", "celery", cpu_seconds=1, grace=0.3)
def too_busy():
    """Compute more than it may, in two processes."""
    print("busy")
    os.fork()
    while True:
        pass


@everywhere("process", "celery", memory_megabytes=150)
def too_large(*, how: str):
    """Take more memory than it may."""
    print("large")
    if how == "at once":
        bytearray(10**12)
    elif how == "children":
        for _ in range(4):
            if os.fork() == 0:
                kept = bytearray(60_000_000)
                time.sleep(600 if kept else 0)
        time.sleep(600)
    else:
        pieces = []
        while True:
            pieces.append(bytearray(1_000_000))
            # Seen to be too much long before the kernel gives no more.
            time.sleep(0.005)


@everywhere("process", "celery", processes=20)
def too_many():
    """Be more processes than there may be."""
    print("many")
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(600)
    time.sleep(600)


@everywhere("process", "celery", files=50)
def too_open():
    """Open more files than it may."""
    kept = [open(os.devnull) for _ in range(100)]
    print(len(kept))


@everywhere("process", "celery", output_megabytes=1, grace=0.3)
def too_loud():
    """Print more than it may."""
    while True:
        print("x" * 999)
