"""Jobs that do not stop when they are asked to; only tests see them."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from app.catalog import job


@job(grace=0.5)
def spinning(running, *, how: str = "loop", catches: int = 0, seconds: float = 600.0):
    """Work in a loop without a look at Stop; catch the exception so often."""
    end = time.monotonic() + seconds
    number = 0
    print("begun", flush=True)
    while time.monotonic() < end:
        try:
            while time.monotonic() < end:
                number += 1
                match how:
                    case "print":
                        print(number)
                    case "logging":
                        logging.getLogger("deaf").warning("line %d", number)
                    case "sleep":
                        time.sleep(0.01)
                    case "event":
                        threading.Event().wait(0.01)
        except KeyboardInterrupt:
            print("caught", flush=True)
            catches -= 1
            if catches < 0:
                raise
    print("over")


@job(grace=8)
def patient(running):
    """Leave the time to look at the page."""
    print("begun", flush=True)
    while True:
        time.sleep(0.01)


@job(grace=0.5)
async def shielded(*, catches: int = 1_000_000, blocks: bool = False):
    """Catch each cancellation, and go on in asyncio, or in a loop that lets it have no turn."""
    print("begun", flush=True)
    while True:
        try:
            while blocks:
                time.sleep(0.01)
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            print("not cancelled", flush=True)
            catches -= 1
            if catches < 0:
                raise


@job(grace=0.5)
def own_loop():
    """Run a loop of its own, of which the server knows nothing."""

    async def wait():
        try:
            # When the loop waits: sooner an exception might come where nothing is caught yet.
            asyncio.get_running_loop().call_later(0.05, print, "begun")
            await asyncio.sleep(600)
        finally:
            print("cleaned up", flush=True)

    asyncio.run(wait())


@job(grace=0.5)
def crew(*, kind: str = "threads"):
    """Wait for child threads, or for a pool's, that look at nothing."""

    def work(number: int) -> None:
        print(f"begun {number}", flush=True)
        while True:
            time.sleep(0.01)

    if kind == "pool":
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, range(2)))
    else:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@job(grace=0.5, seconds=1)
def slow(running, *, deaf: bool = True):
    """Take longer than it may, deaf or not."""
    print("begun", flush=True)
    while deaf or running():
        time.sleep(0.01)


@job(grace=1, at_once=1)
def asleep(running, *, seconds: float = 4.0):
    """Sleep in one call, which nothing interrupts."""
    print("begun", flush=True)
    time.sleep(seconds)
    print("awake", flush=True)


@job(executor="process", grace=60)
def obstinate():
    """Ignore every signal that may be ignored, in a process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    print("begun", flush=True)
    while True:
        time.sleep(0.1)


@job(executor="process", grace=10, seconds=600, memory_megabytes=512, at_once=2)
def stepwise():
    """Ignore SIGINT in a process, and end by SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("begun", flush=True)
    while True:
        time.sleep(0.1)
