"""Clocks that jump: programs that are started with one see another time of day, by libfaketime.

Only the time of day jumps, as it does where somebody sets it: the monotonic clock goes on, and files keep their times.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# Where Debian's package has it; the one for programs with threads.
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
# For how long programs may believe what they have read in the file.
BELIEVE_SECONDS = 1
# Where libfaketime 0.9.10 leaves the monotonic clock alone, it computes the end of a clock_nanosleep wrongly, and
# Python's sleep fails; every other wait is well.
PYTHON = """
import select, time
time.sleep = lambda seconds: select.select((), (), (), seconds)
"""


class Clock:
    """The time of day of the programs that are started with `environment`."""

    def __init__(self, folder: Path) -> None:
        assert LIBRARIES, "this test needs Debian's package faketime"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(PYTHON)
        self._file = folder / "clock"
        self._set(0)
        self.environment = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(BELIEVE_SECONDS),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": str(folder),
        }

    def jump(self, seconds: int) -> None:
        """From now on it is so much ahead of the test's clock, or behind it, and all programs have noticed."""
        self._set(seconds)
        time.sleep(2 * BELIEVE_SECONDS)

    def _set(self, seconds: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        os.replace(new, self._file)
