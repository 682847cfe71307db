"""Jobs with rules about their turns."""

from __future__ import annotations

import time

from app.catalog import job


@job(at_once=1)
def alone(running):
    """Only one at a time: print, and go on until Stop."""
    print("alone")
    while running():
        time.sleep(0.01)
