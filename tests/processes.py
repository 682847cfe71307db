"""What runs on this machine, by session: a test starts a program in a session of its own and sees what it leaves."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path

# The places of these in /proc/PID/stat, counted behind the command's name.
STATE, SESSION, BEGUN = 0, 3, 19


def processes_of(session: int) -> dict[int, str]:
    """The command lines of a session's living processes, by process id; those that began first come first.

    Their ids say nothing of that: they begin anew at the least, after 32,768 on many machines.
    """
    found: list[tuple[int, int, str]] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[SESSION]) == session and fields[STATE] != "Z":
            found.append((int(fields[BEGUN]), int(folder.name), command))
    return {process: command for _, process, command in sorted(found)}


def memory_of(process: int) -> int:
    """What a process holds in memory now, in bytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def limit_files(processes: Iterable[int], size: int) -> None:
    """No file of these processes may grow beyond `size` bytes: their disk is full; RLIM_INFINITY: there is room."""
    for process in processes:
        _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))
