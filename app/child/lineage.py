"""Which processes stand below one, and the end of all of them; the standard library alone."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PAUSE_SECONDS = 0.001
READ_BYTES = 65_536
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LIBC = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """From now on whoever loses its parent below this process becomes its child, whatever session it is in."""
    _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; at once where that has happened."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def children_of(process: int) -> list[int]:
    """The children of all threads of a process, zombies too; none where it is gone."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, _read(f"/proc/{process}/task/{thread}/children").split())
    return found


def _read(path: str) -> bytes:
    # A third of what `open` takes; each run is looked at twice a second.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = b""
        while data := os.read(fd, READ_BYTES):
            found += data
        return found
    finally:
        os.close(fd)


def below(process: int) -> list[int]:
    """All processes below one, those nearest to it first."""
    found: list[int] = []
    level = children_of(process)
    while level:
        found += level
        level = [child for each in level for child in children_of(each)]
    return found


def kill_below(process: int) -> None:
    """Send SIGKILL to all below a process, once."""
    for each in below(process):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes use together: threads, bytes of memory, seconds of computing (their ended children's too)."""

    threads: int = 0
    memory: int = 0
    cpu: float = 0.0


def usage_of(processes: list[int]) -> Usage:
    """What these use now."""
    threads = memory = ticks = 0
    for each in processes:
        with suppress(OSError):
            fields = _read(f"/proc/{each}/stat").rpartition(b")")[2].split()
            ticks += sum(map(int, fields[11:15]))
            threads += int(fields[17])
            memory += int(fields[21]) * _PAGE
    return Usage(threads, memory, ticks / _TICKS)


def exact_memory(processes: list[int]) -> int:
    """The memory of these in bytes, where what they share counts once; it takes a millisecond for each."""
    kilobytes = 0
    for each in processes:
        with suppress(OSError), open(f"/proc/{each}/smaps_rollup") as file:
            kilobytes += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return kilobytes * 1024


def end_all_below_here() -> None:
    """Kill and reap everything below this process, which adopts orphans, until there is nothing left."""
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        kill_below(os.getpid())
        time.sleep(PAUSE_SECONDS)
