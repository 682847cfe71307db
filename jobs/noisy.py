"""A job that prints from everywhere: each line arrives in its own run."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Annotated

from pydantic import Field

from app.catalog import job

logger = logging.getLogger(__name__)


@job(title="Print from everywhere")
def noisy(
    running,
    lines: Annotated[int, Field(ge=1, le=100_000), "How many lines each source prints."] = 5,
    threads: Annotated[int, Field(ge=1, le=32), "How many child threads, and as many workers in a pool."] = 3,
    pause: Annotated[float, Field(ge=0, le=10), "Seconds between two lines of a source."] = 0.05,
):
    """Prints from the job, its threads, a thread pool, asyncio tasks, logging and stderr.

    Nothing here is special to this product: whatever a script prints is the run's output. Stop ends every source.
    """

    def talk(source):
        for _ in say(source, lines, running):
            time.sleep(pause)

    async def talk_async(source):
        for _ in say(source, lines, running):
            await asyncio.sleep(pause)

    async def talk_in_tasks():
        await asyncio.gather(talk_async("task 1"), talk_async("task 2"))

    children = [Thread(target=talk, args=(f"thread {number}",)) for number in range(1, threads + 1)]
    for child in children:
        child.start()
    talk("job")
    with ThreadPoolExecutor(threads) as pool:
        pool.map(talk, [f"worker {number}" for number in range(1, threads + 1)])
    asyncio.run(talk_in_tasks())
    logger.warning("logging: a warning")
    print("stderr: a line", file=sys.stderr)
    print("the last line has no newline", end="")


def say(source, lines, running):
    """Print `lines` lines, until Stop; the caller waits in between, in its own way."""
    for number in range(1, lines + 1):
        if not running():
            return
        print(f"{source}: line {number} of {lines}")
        yield
