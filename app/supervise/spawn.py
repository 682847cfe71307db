"""Spawning: the template process that is forked for each run, and what a supervisor holds of a run's processes."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from app.child.template import REQUEST_BYTES
from app.config import Settings, bare_environment
from app.errors import RealtimeError

logger = logging.getLogger(__name__)

READY_SECONDS = 60.0
ANSWER_SECONDS = 10.0
TRIES = 3
# The kernel's PIDFD_SIGNAL_PROCESS_GROUP, from linux/pidfd.h.
GROUP = 4
# Whichever of them a job belongs to: nobody asks for one of another.
EXECUTORS = ("thread", "process", "celery")
# The largest pipe that the kernel grants; a user has few of them.
PIPE_SIZES = (1_048_576, 262_144, 65_536)


class SpawnFailed(RealtimeError):
    """A run's process cannot be started; the text says why."""

    code = "not_started"


@dataclass(frozen=True)
class Command:
    """A program instead of the job's function, with exactly this environment; it speaks as app/child/control.py does.

    `cleanup` is called after its end. `trouble` is asked twice a second: a sentence ends the run with it. `limits`, by
    the names of app/limits.py, stand instead of the job's, and the program bounds its processes by itself. It
    tells signals by its exit code, as shells do, where it is `as_shell`.
    """

    argv: Sequence[str]
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    cleanup: Callable[[], object] = lambda: None
    trouble: Callable[[], str | None] = lambda: None
    limits: dict[str, float] = field(default_factory=dict)
    as_shell: bool = False


@dataclass
class Spawned:
    """A run's processes: `link` is the warden's, `control` the job's, `pipes` are stdout's and stderr's to be read.

    `facts` are what the template knows of the job: `injected` names, `is_async`, `secrets`, `limits`, `grace`.
    `process`, where it is known, is a descriptor of the first process, which leads its group.
    """

    link: socket.socket
    control: socket.socket
    pipes: tuple[int, ...]
    facts: dict[str, Any]
    process: tuple[int, ...] = ()

    def signal(self, number: int) -> None:
        """Send a signal: SIGKILL to all of the run, others to the group of its first process."""
        if number == signal.SIGKILL or not self._signal_group(number):
            with suppress(OSError):
                self.link.send(json.dumps({"signal": int(number)}).encode())

    def _signal_group(self, number: int) -> bool:
        """Without the warden, which is sooner, where the kernel can do that (Linux 6.9)."""
        for each in self.process:
            with suppress(OSError, AttributeError):
                signal.pidfd_send_signal(each, number, None, GROUP)
                return True
        return False

    def close(self) -> None:
        """Let go of everything; whatever of the run still lives ends."""
        process, self.process = self.process, ()
        _close([self.link, self.control, *self.take_pipes(), *process])

    def take_pipes(self) -> tuple[int, ...]:
        """The pipes, which the caller closes."""
        pipes, self.pipes = self.pipes, ()
        return pipes


class Templates:
    """One template process at a time, started anew whenever it has ended; threads of one process may share it."""

    def __init__(self, settings: Settings) -> None:
        self._options = {"jobs": settings.jobs, "environment": settings.environment, "executors": EXECUTORS}
        self._limits = {
            name: getattr(settings, f"limit_{name}")
            for name in ("seconds", "cpu_seconds", "memory_megabytes", "processes", "files", "output_megabytes")
        }
        self._grace = settings.stage_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None

    def spawn(self, job: str, command: Command | None = None) -> Spawned:
        """Start the process of a run; the job begins when it gets its `start`.

        Raises: SpawnFailed.
        """
        request: dict[str, Any] = {"job": job, "limits": self._limits, "grace": self._grace}
        if command is not None:
            request |= {"argv": list(command.argv), "env": command.env, "cwd": command.cwd}
            request["limits"] = {**self._limits, **command.limits}
        for _ in range(TRIES):
            spawned = self._try(json.dumps(request).encode())
            if spawned is not None:
                return spawned
        raise SpawnFailed("The process that starts runs ends again and again; the runner's log has more.")

    def _try(self, request: bytes) -> Spawned | None:
        """A run's process, or None where the template gave no answer.

        What is handed over is new each time: one that has it and is late must not share it with another.
        """
        theirs: list[int] = []
        ours: list[Any] = []
        try:
            for _ in range(2):
                mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM if ours else socket.SOCK_SEQPACKET)
                ours.append(mine)
                theirs.append(other.detach())
            for _ in range(2):
                reader, writer = _pipe()
                ours.append(reader)
                theirs.append(writer)
            answer = self._ask(request, theirs)
        except BaseException:
            _close(ours)
            raise
        finally:
            _close(theirs)
        if answer is None:
            _close(ours)
            return None
        facts, process = answer
        if "error" in facts:
            _close([*ours, *process])
            raise SpawnFailed(facts["error"])
        link, control, out, err = ours
        return Spawned(link, control, (out, err), facts, process)

    def _ask(self, request: bytes, descriptors: list[int]) -> tuple[dict[str, Any], tuple[int, ...]] | None:
        with self._lock:
            link = self._started()
            with suppress(OSError):
                socket.send_fds(link, [request], descriptors)
                answer, process = _receive(link, ANSWER_SECONDS)
                facts: dict[str, Any] = json.loads(answer or '{"stale": true}')
                if "stale" not in facts:
                    return facts, process
            # It was killed, or a job file was saved: a new one knows.
            self._end()
        return None

    def refresh(self) -> None:
        """See to it that there is a template, so that the next run need not wait for one.

        Raises: SpawnFailed.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._end()
            self._started()

    def close(self) -> None:
        """End the template; runs go on."""
        with self._lock:
            self._end()

    def _started(self) -> socket.socket:
        if self._link is not None:
            return self._link
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "app.child.template", str(theirs.fileno())],
                    env=bare_environment(PYTHONUNBUFFERED="1"),
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise SpawnFailed(f"The process that starts runs cannot be started: {error.strerror}.") from error
        self._link = ours
        try:
            ours.send(json.dumps(self._options).encode())
            ready, _ = _receive(ours, READY_SECONDS)
        except OSError:
            ready = b""
        if not ready:
            self._end()
            raise SpawnFailed("The jobs could not be loaded by the process that starts runs; the log has more.")
        return ours

    def _end(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is not None:
            # It has closed what it had to close: no run of it suffers.
            self._process.kill()
            self._process.wait()
            self._process = None


def _receive(link: socket.socket, seconds: float) -> tuple[bytes, tuple[int, ...]]:
    """A message with the descriptor that came with it, if one did; nothing at the end, or after so many seconds."""
    poll = select.poll()
    poll.register(link, select.POLLIN)
    if not poll.poll(seconds * 1000):
        return b"", ()
    message, descriptors, _, _ = socket.recv_fds(link, REQUEST_BYTES, 1)
    for each in descriptors:
        os.set_inheritable(each, False)
    return message, tuple(descriptors)


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    for size in PIPE_SIZES:
        with suppress(OSError):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, size)
            break
    return reader, writer


def _close(things: list[Any]) -> None:
    for each in things:
        if isinstance(each, int):
            os.close(each)
        else:
            each.close()


def name_of(number: int) -> str:
    """A signal's name, as in "SIGSEGV"."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
