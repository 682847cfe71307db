"""A place for one run of typed code: the command that starts it there, its own folder, and the end of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.sandbox.bubblewrap import FOLDER, PLACE, SHARED, arguments
from app.sandbox.folder import make_folder
from app.sandbox.levels import Level
from app.sandbox.view import INSIDE, View

SHARED_MEGABYTES = 16
ENTRIES = 10_000
OPEN_FILES = 256
_BEGIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from inside.enter import main; main()"


@dataclass(frozen=True, slots=True)
class Needs:
    """What every room of this server is made of; `uid` 0: the server's own user."""

    level: Level
    view: View
    python: str
    bwrap: str
    network: bool
    memory_megabytes: float
    disk_megabytes: float
    seconds: float
    cpu_seconds: float
    processes: int


@dataclass(frozen=True, slots=True)
class Room:
    """How to start the process of a run, and what to do with its place meanwhile and afterwards.

    `env` is the whole environment. `trouble` says why the run has to be killed now, or None; it costs a look at each
    file of the run's folder. `cleanup` removes the folder. `limits` are for its supervisor to watch, by the names of
    app/limits.py. `as_shell`: the process tells signals by its exit code, as shells do.
    """

    argv: list[str]
    env: dict[str, str]
    cwd: str
    trouble: Callable[[], str | None] = field(default=lambda: None)
    cleanup: Callable[[], object] = field(default=lambda: None)
    limits: dict[str, float] = field(default_factory=dict)
    as_shell: bool = False


def make_room(needs: Needs, uid: int) -> Room:
    """A new room.

    Raises: OSError where the folder cannot be made.
    """
    if needs.level is Level.FULL:
        walls = arguments(needs.view, root=bool(uid), network=needs.network)
        argv = [needs.bwrap, *walls, "--", *_python(needs, uid, FOLDER, PLACE)]
        return Room(argv, _environment(needs, FOLDER), "/", limits=_limits(needs), as_shell=True)
    folder = make_folder(needs.disk_megabytes, ENTRIES, uid)
    argv = _python(needs, uid, str(folder.path), str(INSIDE.parent))
    return Room(argv, _environment(needs, str(folder.path)), "/", folder.trouble, folder.remove, _limits(needs))


def _limits(needs: Needs) -> dict[str, float]:
    """What the kernel does not sum up over all processes of a run; bubblewrap's own are some of them."""
    own = 2 if needs.level is Level.FULL else 0
    return {
        "seconds": needs.seconds,
        "cpu_seconds": needs.cpu_seconds,
        "memory_megabytes": needs.memory_megabytes,
        "processes": needs.processes + own,
    }


def _python(needs: Needs, uid: int, folder: str, place: str) -> list[str]:
    spec = {
        "level": str(needs.level),
        "folder": folder,
        "memory_megabytes": needs.memory_megabytes,
        "disk_megabytes": needs.disk_megabytes,
        "cpu_seconds": needs.cpu_seconds,
        "processes": needs.processes,
        "files": OPEN_FILES,
        "entries": ENTRIES,
        "uid": uid,
        # Behind namespaces the folders above the interpreter are made anew, open to all.
        "reader": needs.level is Level.LANDLOCK and not needs.view.reachable,
        "network": needs.network,
        "readable": needs.view.readable if needs.level is Level.LANDLOCK else (),
        "tmpfs": {FOLDER: needs.disk_megabytes, SHARED: SHARED_MEGABYTES},
    }
    return [needs.python, "-I", "-B", "-c", _BEGIN, place, json.dumps(spec)]


def _environment(needs: Needs, folder: str) -> dict[str, str]:
    path = f"{Path(needs.python).parent}:/usr/local/bin:/usr/bin:/bin"
    # The C library otherwise takes 64 MiB of address space for each thread.
    own = {"MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    return {"PATH": path, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", **own}
