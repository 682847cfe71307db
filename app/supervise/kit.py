"""What every supervised run needs, and the box in which other threads leave what its own thread is to do."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from app.archiver import Archiver
from app.capture import PipeProcessor
from app.channel_writer import ChannelWriter
from app.config import Settings
from app.credentials import Credentials
from app.model import Record, Run
from app.stack import Stack
from app.store.calls import Calls
from app.store.log import Log
from app.store.runs import Runs
from app.supervise.news import News
from app.supervise.outputs import Outputs, Waits
from app.supervise.spawn import Command, Templates


@dataclass(frozen=True)
class Kit:
    """The parts of a supervisor; `commands` are for jobs that are programs, by their names."""

    settings: Settings
    stack: Stack
    runs: Runs
    log: Log
    archiver: Archiver
    credentials: Credentials
    calls: Calls
    channels: ChannelWriter
    news: News
    templates: Templates
    waits: Waits
    reader: PipeProcessor[Outputs, list[Record]]
    commands: Mapping[str, Callable[[Run], Command]]


class Box:
    """Any thread puts, one empties; `fd` has something to read while there is something in it."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._guard = threading.Lock()
        self._todo: deque[Callable[[], object]] = deque()

    def put(self, function: Callable[[], object]) -> None:
        """Have it called soon; never, where the box is closed."""
        with self._guard:
            self._todo.append(function)
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def empty(self) -> None:
        """Call what is there."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        while self._todo:
            self._todo.popleft()()

    def close(self) -> None:
        """Give the descriptor back."""
        with self._guard:
            os.close(self.fd)
            self.fd = -1
