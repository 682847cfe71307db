"""The way into a sandbox: this process puts itself under limits and behind walls, then runs what a user typed."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from . import kernel, landlock, seccomp
from .code import main as run_typed

CONTROL = 3
MEGABYTE = 1 << 20
# Address space is more than memory: stacks of threads, files that are mapped.
SPARE_MEGABYTES = 1024
MOST_STACK = 64 * MEGABYTE
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
NAMESPACES, LANDLOCK = "full", "landlock"


@dataclass(frozen=True)
class Spec:
    """What a process is to have: the `level` by its name, and what it needs; sizes are in the units that names tell.

    `uid` is an unused user of the machine (0: stay who you are); `reader`: only root may read the interpreter.
    """

    level: str
    folder: str
    memory_megabytes: float
    disk_megabytes: float
    cpu_seconds: float
    processes: int
    files: int
    entries: int
    uid: int = 0
    reader: bool = False
    network: bool = False
    readable: tuple[str, ...] = ()
    tmpfs: dict[str, float] = field(default_factory=dict)


def read_spec(text: str) -> Spec:
    """The spec of its JSON."""
    values: dict[str, Any] = json.loads(text)
    return Spec(**{**values, "readable": tuple(values["readable"])})


def enter(spec: Spec) -> None:
    """Go in; there is no way back.

    Raises: OSError where the kernel, or the library for its filter, does not grant what the level needs.
    """
    os.closerange(CONTROL + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    # Where the machine has no memory left, this goes first.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    if spec.level == NAMESPACES:
        for path, megabytes in spec.tmpfs.items():
            kernel.bound_tmpfs(path, int(megabytes * MEGABYTE), spec.entries)
    running = 0 if spec.uid or spec.level == NAMESPACES else _running()
    if spec.uid:
        _become(spec)
    elif spec.level in (NAMESPACES, LANDLOCK):
        kernel.keep_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    _limit(spec, running)
    os.chdir(spec.folder)
    os.environ.pop("PWD", None)
    os.umask(0o077)
    if spec.level == LANDLOCK:
        landlock.restrict(spec.readable, spec.folder, DEVICES, network=spec.network)
    if spec.level in (NAMESPACES, LANDLOCK):
        seccomp.restrict(_walls(spec))
    # Whatever started it let these pass by; a Stop is meant for this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _walls(spec: Spec) -> seccomp.Walls:
    version = landlock.abi()
    return seccomp.Walls(
        namespaces=spec.level == NAMESPACES,
        network=spec.network,
        user=bool(spec.uid),
        signals=version >= landlock.SCOPES_SINCE,
        truncates=version >= landlock.TRUNCATES,
    )


def _become(spec: Spec) -> None:
    if spec.reader:
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(spec.uid, spec.uid, spec.uid)
    os.setresuid(spec.uid, spec.uid, spec.uid)
    kernel.keep_capabilities(*([kernel.CAP_DAC_READ_SEARCH] if spec.reader else []))


def _running() -> int:
    """How many threads this user has on the machine now: the kernel counts all of them together."""
    count = 0
    for name in os.listdir("/proc"):
        with suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _limit(spec: Spec, running: int) -> None:
    memory, cpu = int(spec.memory_megabytes * MEGABYTE), int(spec.cpu_seconds)
    wanted = {
        resource.RLIMIT_DATA: (memory, memory),
        resource.RLIMIT_AS: (memory + SPARE_MEGABYTES * MEGABYTE,) * 2,
        resource.RLIMIT_STACK: (8 * MEGABYTE, MOST_STACK),
        resource.RLIMIT_CPU: (cpu, cpu + 1),
        resource.RLIMIT_NPROC: (spec.processes + running,) * 2,
        resource.RLIMIT_NOFILE: (spec.files, spec.files),
        resource.RLIMIT_FSIZE: (int(spec.disk_megabytes * MEGABYTE),) * 2,
        resource.RLIMIT_MEMLOCK: (MEGABYTE, MEGABYTE),
        resource.RLIMIT_MSGQUEUE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
    }
    for kind, limits in wanted.items():
        most = resource.getrlimit(kind)[1]
        bounded = limits if most == resource.RLIM_INFINITY else (min(limits[0], most), min(limits[1], most))
        resource.setrlimit(kind, bounded)


def main() -> None:
    """Be told by the arguments what to be; then run what comes by the control socket."""
    spec = read_spec(sys.argv[1])
    try:
        enter(spec)
    except OSError as error:
        # Its text may name a path of the machine.
        name = errno.errorcode.get(error.errno or 0, "error")
        sys.stderr.write(f"The sandbox could not be made ({name}).\n")
        raise SystemExit(78) from None
    run_typed(CONTROL)
