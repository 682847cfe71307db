"""A program as a user without any right, for tests that run as root: also where that user could not read Python."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# What one of xdist's workers has running counts in no limit of another's.
USER = 54321 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
GONE_SECONDS = 30.0
ROOT = Path(__file__).parents[1]
# In a mount namespace of its own: a folder that others may not enter is made anew, with the way to each place alone.
_SCRIPT = """
import json, os, subprocess, sys
places, user, command = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
held = {place: os.open(place, os.O_PATH) for place in places}
def shut(place):
    parts = [place]
    while parts[0] != "/":
        parts.insert(0, os.path.dirname(parts[0]))
    return next((part for part in parts if not os.stat(part).st_mode & 1), None)
for place in places:
    while (first := shut(place)) is not None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", first], check=True)
        for other, descriptor in held.items():
            if other.startswith(first + "/"):
                os.makedirs(other, exist_ok=True)
                source = f"/proc/{os.getpid()}/fd/{descriptor}"
                subprocess.run(["mount", "--no-canonicalize", "--bind", source, other], check=True)
os.setgroups([]); os.setgid(user); os.setuid(user)
os.execv(command[0], command)
"""


def run(program: str, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a Python program that may import the product; as root it becomes USER, else it stays who it is."""
    command = [sys.executable, "-B", "-c", program, *arguments]
    if os.getuid() == 0:
        _wait_for_none()
        places = sorted({str(ROOT), sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])})
        outer = ["unshare", "--mount", "--propagation", "private", sys.executable, "-I", "-S", "-c", _SCRIPT]
        command = [*outer, json.dumps(places), str(USER), *command]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": "/tmp"},  # noqa: S108 - open to all
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@functools.cache
def _end_what_is_left() -> None:
    """Once: what earlier tests that were broken off have left behind."""
    for each in Path("/proc").glob("[0-9]*"):
        if _owner(each) == USER:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(each.name), signal.SIGKILL)


def _wait_for_none() -> None:
    """Nothing of USER's runs any more: a process that an earlier test has killed counts in limits until it is gone."""
    deadline = time.monotonic() + GONE_SECONDS
    while any(_owner(each) == USER for each in Path("/proc").glob("[0-9]*")):
        if time.monotonic() > deadline - GONE_SECONDS / 2:
            _end_what_is_left()
        assert time.monotonic() < deadline, f"processes of user {USER} go on"
        time.sleep(0.02)


def _owner(process: Path) -> int | None:
    try:
        return process.stat().st_uid
    except OSError:
        return None
