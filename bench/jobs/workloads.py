"""What the benchmark has the product run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from app.catalog import job


@job
def flood(*, lines: int = 1_000_000, width: int = 0, threads: int = 1) -> None:
    """Print numbered lines as fast as it can."""

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


@job
def stamps(*, lines: int = 500, pause: float = 0.01) -> None:
    """Print the time, again and again."""
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
