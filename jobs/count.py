"""A job that counts, with a progress bar."""

from __future__ import annotations

import sys
import time
from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from app.catalog import job


@job
def count(
    running,
    run,
    steps: Annotated[int, Field(ge=1, le=100_000), "How far to count."] = 20,
    pause: Annotated[float, Field(ge=0, le=10), "Seconds between two steps."] = 0.2,
):
    """Counts, with a progress bar that stays on its line.

    Shows how a job takes parameters, draws with `tqdm`, tells the page how far it has come, and ends early when Stop is
    pressed.
    """
    # position=0: tqdm counts the bars of a process, and would move this one down below those of other runs
    with tqdm(total=steps, file=sys.stdout, mininterval=0.05, position=0) as bar:
        while bar.n < steps and running():
            time.sleep(pause)
            bar.update()
            run.progress(bar.n, steps)
    print(f"Counted to {bar.n}.")
