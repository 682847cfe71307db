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
    steps: Annotated[int, Field(ge=1, le=100_000), "How far to count."] = 20,
    pause: Annotated[float, Field(ge=0, le=10), "Seconds between two steps."] = 0.2,
):
    """Counts, with a progress bar that stays on its line.

    Shows how a job takes parameters, draws with `tqdm`, and ends early when Stop is pressed.
    """
    for _ in tqdm(range(steps), file=sys.stdout, mininterval=0.05):
        if not running():
            print("\nStopped.")
            return
        time.sleep(pause)
    print(f"Counted to {steps}.")
