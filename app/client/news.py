"""What a run tells beside its output, in words on stderr: what it waits for, how far it is, how it ended."""

from __future__ import annotations

import time
from typing import Any

from app.client.screen import ERR, OUT, Screen

# Where lines stay, the news of a long wait is not a line for each place.
PAUSE = 10.0
# What is done in each stage of a Stop.
STAGES = {
    "ask": "The run is asked to stop.",
    "interrupt": "The run is interrupted, as by Ctrl-C.",
    "terminate": "The run is told to end (SIGTERM).",
    "kill": "The run is being killed.",
    "raise": "The run is interrupted by an exception.",
    "ignored": "The run does not respond, and a thread cannot be killed.",
}


class Told:
    """The news of one run; `asks` is the prompt of an `input()` that waits for its line, None where none does."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.asks: str | None = None
        self._waited = ""
        self._when = 0.0
        self._stage = ""

    def tell(self, record: dict[str, Any]) -> None:
        """Say what is worth it."""
        kind = record["type"]
        if kind == "queue":
            self._queue(record)
        elif kind == "omitted":
            reason = record.get("reason") or "they were lost"
            self._screen.say(f"[{record['omitted']} bytes are missing here: {reason}]")
        elif kind in ("begin", "status", "end"):
            self._run(record["run"], ended=kind == "end")

    def _queue(self, turn: dict[str, Any]) -> None:
        place = f"place {turn.get('position')} in the queue {turn.get('name')}"
        text = f"Waiting for its turn: {place}. {turn.get('message') or ''}".strip()
        if self._screen.terminal[ERR]:
            self._screen.draw(text)
        elif text != self._waited and time.monotonic() - self._when > PAUSE:
            self._when = time.monotonic()
            self._screen.say(text)
        self._waited = text

    def _run(self, run: dict[str, Any], *, ended: bool) -> None:
        if ended:
            self.asks = None
            if run["status"] != "succeeded":
                self._screen.say(end_of(run))
            return
        before, self.asks = self.asks, run.get("asks")
        if self.asks is not None and before is None and not self._screen.terminal[OUT]:
            # Who sees the output sees the question there.
            self._screen.say(f"The run asks: {self.asks}")
        self._draw(run)

    def _draw(self, run: dict[str, Any]) -> None:
        stage, progress = run.get("stage"), run.get("progress")
        if stage and stage.get("name") != self._stage:
            self._stage = stage["name"]
            self._screen.say(STAGES.get(self._stage, f"Stopping: {self._stage}"))
        if progress and progress[1]:
            share = min(max(progress[0] / progress[1], 0), 1)
            self._screen.draw(f"{share:.0%} ({progress[0]:g} of {progress[1]:g})")


def end_of(run: dict[str, Any]) -> str:
    """How a run ended, in a sentence."""
    reason = run.get("message") or run.get("signal") or ""
    return f"The run {'was lost' if run['status'] == 'lost' else run['status']}{f': {reason}' if reason else '.'}"
