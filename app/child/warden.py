"""The warden of one run: the parent of its process, which leaves nothing of the run alive, whatever happens.

It adopts what the run's processes leave behind, obeys its supervisor over a socket, and when that socket ends, since
the supervisor was killed, kills everything. Forked from the template; the standard library alone.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from app.child import lineage

COMMAND_BYTES = 4096
# The end of a process takes the kernel two milliseconds, which whoever tells of the run's end has need of first.
LINGER_SECONDS = 0.02


def watch_children() -> tuple[int, int]:
    """A pipe, which has something to read whenever a child has ended."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader, writer


def unwatch_children(pipe: tuple[int, int]) -> None:
    """As if there had been no `watch_children`."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in pipe:
        os.close(each)


def rest(reader: int) -> None:
    """Take what `watch_children` has brought."""
    with suppress(BlockingIOError):
        os.read(reader, COMMAND_BYTES)


class Warden:
    """Watches over `child`, whose end writes to the pipe `ended`."""

    def __init__(self, child: int, ended: int) -> None:
        self._child, self._ended = child, ended
        self._status: int | None = None
        self._usage: Any = None

    def rehearse(self) -> None:
        """Once through what the end of a run takes: a process that was forked copies each page when it writes there."""
        os.kill(os.getpid(), signal.SIGCHLD)
        rest(self._ended)
        self._reap()
        _report(0, resource.getrusage(resource.RUSAGE_CHILDREN))

    def watch(self, link: socket.socket) -> None:
        """Obey the supervisor until the child has ended, then end all that is left of the run and report it."""
        self._link = link
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        while self._status is None:
            for source, _ in poll.poll():
                if source == self._ended:
                    rest(self._ended)
                else:
                    self._obey()
            self._reap()
        lineage.end_all_below_here()
        with suppress(OSError):
            self._link.send(_report(self._status, self._usage))

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                process, status, usage = os.wait4(-1, os.WNOHANG)
                if not process:
                    break
                if process == self._child:
                    self._status, self._usage = status, usage

    def _obey(self) -> None:
        try:
            message = self._link.recv(COMMAND_BYTES)
        except OSError:
            message = b""
        if not message:
            # The supervisor is gone, and with it whoever could tell of this run.
            lineage.end_all_below_here()
            os._exit(1)
        number = json.loads(message)["signal"]
        if number == signal.SIGKILL:
            lineage.kill_below(os.getpid())
        else:
            # The child is not reaped yet, so the number is still its group's.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child, number)


def _report(status: int, used: Any) -> bytes:
    found = {"status": status, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * 1024}
    return json.dumps(found).encode()


def guard(assigned: socket.socket, child_end: socket.socket, work: Callable[[], NoReturn]) -> NoReturn:
    """Become the warden of a new child, which calls `work`; `assigned` brings the supervisor's link, or ends."""
    lineage.adopt_orphans()
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ended = watch_children()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        assigned.close()
        _become_child(parent, ended)
        work()
    child_end.close()
    _offer(assigned, child)
    warden = Warden(child, ended[0])
    warden.rehearse()
    try:
        said, descriptors, _, _ = socket.recv_fds(assigned, COMMAND_BYTES, 1)
    except ConnectionResetError:
        # The template has closed its end without reading what it was offered; what it said before is still there.
        said, descriptors, _, _ = socket.recv_fds(assigned, COMMAND_BYTES, 1)
    assigned.close()
    if not said:
        # The template has ended, or needs it no more.
        lineage.end_all_below_here()
        os._exit(0)
    os.set_inheritable(descriptors[0], False)
    warden.watch(socket.socket(fileno=descriptors[0]))
    time.sleep(LINGER_SECONDS)
    os._exit(0)


def _offer(assigned: socket.socket, child: int) -> None:
    """Give the template what signals the child, for the run's supervisor: a number could be somebody else's by then."""
    # A Python that was built for an old kernel does not know it.
    with suppress(OSError, AttributeError):
        pidfd = os.pidfd_open(child)
        try:
            socket.send_fds(assigned, [b"!"], [pidfd])
        finally:
            os.close(pidfd)


def _become_child(parent: int, ended: tuple[int, int]) -> None:
    lineage.die_with_parent(parent)
    os.setsid()
    unwatch_children(ended)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def limit(limits: dict[str, float]) -> None:
    """Set what the kernel limits by itself, for one process each; the supervisor watches over their sums."""
    for name, kind, factor, more in (
        ("files", resource.RLIMIT_NOFILE, 1, 0),
        ("cpu_seconds", resource.RLIMIT_CPU, 1, 2),
        # A process that asks for far more than the run may have is refused at once, before anybody could look.
        ("memory_megabytes", resource.RLIMIT_DATA, 2 << 20, 512 << 20),
    ):
        if limits.get(name):
            most = int(limits[name] * factor) + more
            _, hard = resource.getrlimit(kind)
            if hard != resource.RLIM_INFINITY:
                most = min(most, hard)
            resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
