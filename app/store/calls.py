"""Calls to whoever supervises a run: that it was asked to stop, to die, or that something was typed for it.

What is asked is in keys too, which whoever misses a call sees a little later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from app.errors import StoreUnavailable, TooMany
from app.store.connection import store_errors

CHANNEL = "stops"
# What a call is for, as store/scripts.py tells it; with input it has no word.
STOP, KILL = "stop", "kill"
LISTEN_SECONDS = 2.0
RETRY_SECONDS = 1.0
MOST_LINES = 100
INPUT_SECONDS = 86_400


class Calls:
    """Hears calls, and makes those that bring input; raises StoreUnavailable."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def listen(self, heard: Callable[[str, str], object]) -> None:
        """Have `heard` called with the id of each run that somebody calls for, and STOP, KILL or ""; for ever.

        After a gap, where there may have been any call, it is called with "" twice.
        """
        while True:
            try:
                with store_errors():
                    self._listen(heard)
            except StoreUnavailable:
                # Whoever renews leases tells of it.
                time.sleep(RETRY_SECONDS)

    def _listen(self, heard: Callable[[str, str], object]) -> None:
        with self._client.pubsub(ignore_subscribe_messages=True) as subscribed:
            subscribed.subscribe(CHANNEL)
            subscribed.get_message(timeout=LISTEN_SECONDS)
            heard("", "")
            while True:
                message = subscribed.get_message(timeout=LISTEN_SECONDS)
                if message is not None:
                    run_id, _, what = message["data"].decode().partition(" ")
                    heard(run_id, what)

    def give_input(self, run_id: str, line: str | None) -> None:
        """Hand a line, with its end, to a run that asks for input; None is the end of all input.

        Raises: TooMany where a hundred wait there already.
        """
        key = _input(run_id)
        with store_errors():
            if self._client.llen(key) >= MOST_LINES:
                raise TooMany("The run has not read what was typed before. Please wait until it asks.")
            self._client.rpush(key, json.dumps(line))
            self._client.expire(key, INPUT_SECONDS)
            self._client.publish(CHANNEL, run_id)

    def take_input(self, run_id: str) -> tuple[str | None] | None:
        """The next line that was typed, in a tuple; None where there is none."""
        with store_errors():
            found = self._client.lpop(_input(run_id))
        return None if found is None else (json.loads(found),)

    def forget_input(self, run_id: str) -> None:
        """The run is over: nobody reads what was typed for it."""
        with store_errors():
            self._client.delete(_input(run_id))


def _input(run_id: str) -> str:
    return f"run:{run_id}:input"
