"""The bell: wakes the hub when threads have put something into pipes, once for all of them."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING

from app.stack import Stack

if TYPE_CHECKING:
    from app.capture.pipe import Pipe


class Bell:
    """Which pipes have something to take, and an `os.pipe` that the hub waits on while none has.

    No lock that the hub might wait for: each step is one of the interpreter's own, and a ring too many does no harm.
    """

    def __init__(self) -> None:
        self._pipes: deque[Pipe] = deque()
        self._waits = self._rung = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def ring(self, pipe: Pipe) -> None:
        """From any thread: there is something in `pipe`."""
        self._pipes.append(pipe)
        if self._waits:
            self._waits = False
            with contextlib.suppress(BlockingIOError):
                os.write(self._writer, b"!")

    def wait(self, stack: Stack) -> list[Pipe]:
        """From the hub: wait until there is something in a pipe; these pipes, in their order."""
        while not self._pipes:
            if self._rung:
                # Not when it rang: first what came, since each system call may cost a wait for the interpreter's lock.
                self._rung = False
                with contextlib.suppress(BlockingIOError):
                    os.read(self._reader, 4096)
            self._waits = True
            if not self._pipes:
                stack.wait_readable(self._reader)
                self._rung = True
            self._waits = False
        return [self._pipes.popleft() for _ in range(len(self._pipes))]
