"""What the benchmark has the product run."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from app import catalog

# Where the runs happen that are measured.
EXECUTOR = os.environ.get("BENCH_EXECUTOR", "thread")
F = TypeVar("F", bound=Callable[..., Any])
SECRETS = [f"correct-horse-{number}-battery-staple" for number in range(10)]


def job(function: F) -> F:
    """As the catalogue's, with the executor that is measured."""
    return catalog.job(executor=EXECUTOR)(function)


def _flood(lines: int, width: int, threads: int) -> None:
    def work(first: int) -> None:
        if width:
            for number in range(first, lines, threads):
                print(f"{number:0{width}d}")
        else:
            for number in range(first, lines, threads):
                print(number)

    others = [threading.Thread(target=work, args=(first,)) for first in range(1, threads)]
    for other in others:
        other.start()
    work(0)
    for other in others:
        other.join()


def _wait_for(signal: str) -> None:
    while signal and not Path(signal).exists():
        time.sleep(0.01)


@job
def flood(*, lines: int = 1_000_000, width: int = 0, threads: int = 1, signal: str = "") -> None:
    """Print numbered lines as fast as it can; with `signal`, not before there is such a file."""
    _wait_for(signal)
    _flood(lines, width, threads)


@catalog.job(executor=EXECUTOR, secrets=SECRETS)
def flood_masked(*, lines: int = 1_000_000, width: int = 0, threads: int = 1) -> None:
    """The same, where ten secrets must not show."""
    _flood(lines, width, threads)


@job
def endless(running: Callable[[], bool], *, width: int = 0) -> None:
    """Print numbered lines as fast as it can, until stopped."""
    for number in itertools.count():
        if number % 1000 == 0 and not running():
            break
        print(f"{number:0{width}d}" if width else number)


@job
def stamps(*, lines: int = 500, pause: float = 0.01, signal: str = "") -> None:
    """Print the time, again and again; with `signal`, not before there is such a file."""
    _wait_for(signal)
    for _ in range(lines):
        print(time.monotonic_ns())
        time.sleep(pause)


@job
def burn(running: Callable[[], bool]) -> None:
    """Compute in pure Python until stopped."""
    number = 0
    while running():
        for _ in range(1000):
            number = (number * 31 + 7) % 1_000_003


@job
def hello() -> None:
    """Print one line."""
    print("hello")


@job
def waits(running: Callable[[], bool], *, pause: float = 0.05) -> None:
    """Look now and then whether to stop; print when it began, and when it saw that."""
    print(time.monotonic_ns())
    while running():
        time.sleep(pause)
    print(time.monotonic_ns())


@job
def ticks(running: Callable[[], bool], *, pause: float = 0.002) -> None:
    """Print a numbered line again and again, until stopped."""
    for number in itertools.count():
        print(number)
        time.sleep(pause)
        if not running():
            break


@job
def sleeps() -> None:
    """Print a line, and sleep for long."""
    print("sleeping")
    time.sleep(3600)
