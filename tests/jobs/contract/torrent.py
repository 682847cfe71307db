"""A job that prints much, and lets go of the interpreter's lock all the time, as any that asks or reads does."""

from __future__ import annotations

import os

from app.catalog import job


@job(executor="process")
def torrent(running, *, every: int = 1000, megabytes: int = 300):
    """Print its process id, then lines of a hundred characters, and ask every so many of them whether to go on."""
    print(os.getpid())
    for number in range(megabytes * 10_000):
        if number % every == 0 and not running():
            break
        print(f"{number:099d}")
