"""The watchdog: an OS thread that notices when the hub does not turn, and says what holds it up.

With `ASYNC_STACK=threading` there is no one thread that all wait for; then it notices a process that stood still.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback

from app.stack import Stack
from app.thread_frames import current_frames

logger = logging.getLogger(__name__)

# How long a blockage that is over counts as a reason to send visitors elsewhere.
RECENT_SECONDS = 10.0
# Looks and beats in the time that the hub may take.
LOOKS = 8


class Watchdog:
    """Watches the hub of this process once `watch` was called in it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._pause = min(seconds / LOOKS, 1.0)
        self._hub: int | None = None
        self._beat = 0.0
        self._blocked_since: float | None = None
        self._trouble_ended = float("-inf")

    def watch(self, stack: Stack) -> None:
        """Begin, from hub code."""
        if stack.name == "eventlet":
            self._hub, self._beat = threading.get_ident(), time.monotonic()
            stack.spawn(self._keep_beating, stack)
        threading.Thread(target=self._keep_looking, name="watchdog", daemon=True).start()

    def trouble(self) -> str:
        """Why this process is no good place for visitors now; "" where it is."""
        recent = time.monotonic() - self._trouble_ended < RECENT_SECONDS
        return "the server was held up" if recent or self._blocked_since is not None else ""

    def _keep_beating(self, stack: Stack) -> None:
        while True:
            self._beat = time.monotonic()
            stack.sleep(self._pause)

    def _keep_looking(self) -> None:
        while True:
            before = time.monotonic()
            time.sleep(self._pause)
            stood_still = time.monotonic() - before - self._pause
            if stood_still > self._seconds / 2:
                self._excuse(stood_still)
            elif self._hub is not None:
                self._look(self._hub)

    def _excuse(self, seconds: float) -> None:
        # A suspended process, an overloaded machine, or C code that keeps Python's lock: the hub may be innocent.
        self._beat = self._trouble_ended = time.monotonic()
        logger.warning("the whole process stood still for %.1f s", seconds, extra={"seconds": round(seconds, 3)})

    def _look(self, hub: int) -> None:
        beat, now = self._beat, time.monotonic()
        if self._blocked_since is None and now - beat > self._seconds:
            self._blocked_since = beat
            self._show(hub, now - beat)
        elif self._blocked_since is not None and beat > self._blocked_since:
            seconds = beat - self._blocked_since
            self._blocked_since, self._trouble_ended = None, now
            logger.warning("the hub turns again, after %.1f s", seconds, extra={"seconds": round(seconds, 3)})

    @staticmethod
    def _show(hub: int, seconds: float) -> None:
        # The places first, at once: the hub may go on meanwhile, and a frame that it has left must not be touched.
        places, frame = [], current_frames().get(hub)
        while frame is not None:
            places.append((frame.f_code, frame.f_lineno))
            frame = frame.f_back
        found = [traceback.FrameSummary(code.co_filename, line, code.co_name) for code, line in reversed(places)]
        stack = "".join(traceback.format_list(found))
        text = "the hub has not turned for %.1f s: nobody is answered"
        record = logger.makeRecord(
            logger.name,
            logging.ERROR,
            __file__,
            0,
            text,
            (seconds,),
            None,
            extra={"seconds": round(seconds, 3)},
            sinfo=stack,
        )
        logger.handle(record)
