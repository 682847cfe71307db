"""OS threads: one begun where the machine has no room at this moment, and a call that one and the hub hand over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

ROOM_SECONDS = 0.05


def start_thread(function: Callable[..., object], *args: object, name: str | None = None) -> None:
    """Run `function` in an OS thread of its own; waits where the machine has no room for one.

    So it is slow there, and nothing is left undone.
    """
    waits = False
    while True:
        try:
            threading.Thread(target=function, args=args, daemon=True, name=name).start()
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise
            if not waits:
                logger.warning("there is no room for another thread: it is waited for")
            waits = True
            time.sleep(ROOM_SECONDS)
        else:
            return


class Call:
    """One call that an OS thread and the hub hand to each other."""

    def __init__(self, function: Callable[..., Any], args: tuple[object, ...]) -> None:
        self.function, self.args = function, args
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call; whoever waits for `done` goes on."""
        try:
            self.result = self.function(*self.args)
        except BaseException as error:  # noqa: BLE001 - whatever it was belongs to the caller
            self.error = error
        self.done.set()

    def outcome(self) -> Any:
        """Its result, or what it raised."""
        if self.error is not None:
            raise self.error
        return self.result
