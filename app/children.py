"""Child processes that end when they are told to, and when their parent is gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.05
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildFailed(Exception):
    """A child process ended by itself, or never got ready."""


class Child:
    """A running child in a process group of its own, so that the terminal's Ctrl-C reaches the parent alone."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        self.name = name
        parent = os.getpid()

        def end_with_parent() -> None:
            if _LIBC is not None:
                _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        try:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                process_group=0,
                # The parent has one thread, so that nothing can hold a lock that the child would need here.
                preexec_fn=end_with_parent,  # noqa: PLW1509
                **options,
            )
        except OSError as error:
            raise ChildFailed(f"The {name} cannot be started: {error.strerror}: {error.filename}") from None

    @property
    def output(self) -> IO[bytes]:
        """What the child writes, where it was started with `stdout=subprocess.PIPE`."""
        assert self.process.stdout is not None  # noqa: S101 - a mistake of the caller, not of a user
        return self.process.stdout

    def check(self) -> None:
        """Raises: ChildFailed if the child has ended."""
        code = self.process.poll()
        if code is not None:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise ChildFailed(f"The {self.name} has ended by itself ({how}).")

    def wait_ready(self, ready: Callable[[], bool], seconds: float, pause: Callable[[float], object]) -> None:
        """Wait until `ready()`; `pause(seconds)` waits between two questions, and may raise to give up.

        Raises: ChildFailed if the child ends before, or is not ready within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ChildFailed(f"The {self.name} was not ready within {seconds:g} seconds.")
            pause(POLL_SECONDS)

    def stop(self, seconds: float) -> None:
        """End the child: ask, and after `seconds` kill; whatever it has left in its group goes too."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
