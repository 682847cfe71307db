"""The stages of a Stop: ask, SIGINT, SIGTERM, SIGKILL, each after the grace of the one before."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

ASK, INTERRUPT, TERMINATE, KILL = "ask", "interrupt", "terminate", "kill"
# SIGKILL is sent again and again: something may have been born meanwhile.
KILL_SECONDS = 0.2


class Stages:
    """Goes from stage to stage; `act` does what one is named for, `tell` gets it as `Run.stage` has it."""

    def __init__(
        self, *, asks: bool, grace: float, act: Callable[[str], object], tell: Callable[[dict[str, Any]], object]
    ) -> None:
        self._left = [ASK, INTERRUPT, TERMINATE, KILL][0 if asks else 1 :]
        self._grace, self._act, self._tell = grace, act, tell
        self._until = 0.0
        self.name = ""

    @property
    def until(self) -> float:
        """When the next stage comes, by the monotonic clock; infinite while there is none."""
        return self._until if self.name else float("inf")

    def begin(self) -> None:
        """Somebody pressed Stop; nothing happens where that is known."""
        if not self.name:
            self._step()

    def kill(self) -> None:
        """Somebody cannot wait."""
        if self.name != KILL:
            self._left = [KILL]
            self._step()

    def look(self) -> None:
        """Go on where it is time."""
        if time.monotonic() >= self.until:
            if self.name == KILL:
                self._until = time.monotonic() + KILL_SECONDS
                self._act(KILL)
            else:
                self._step()

    def _step(self) -> None:
        self.name = self._left.pop(0)
        following = self._left[0] if self._left else None
        seconds = self._grace if following else KILL_SECONDS
        self._until = time.monotonic() + seconds
        self._act(self.name)
        self._tell({"name": self.name, "next": following, "until": time.time() + seconds if following else None})
