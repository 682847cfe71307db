"""Calls to whoever supervises a run: that it was asked to stop, to die, or that something was typed for it.

What is asked is in keys too, which whoever misses a call sees a little later.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis.backoff
import redis.retry

from app.errors import NotWaiting, StoreUnavailable, TooMany
from app.model import new_id
from app.store.connection import store_errors

logger = logging.getLogger(__name__)

CHANNEL = "stops"
# What a call is for, as store/scripts.py tells it; with input it has no word.
STOP, KILL = "stop", "kill"
LISTEN_SECONDS = 2.0
RETRY_SECONDS = 1.0
MOST_LINES = 100
INPUT_SECONDS = 86_400
# Any command may be sent twice, where a connection is lost before its answer came: these do the same once.
# KEYS lines, this line's sign, run; ARGV line, most lines, seconds, channel, run. Answers 0 where too many wait
# already, -1 after the run's end, with which (store/scripts.py) they all go.
GIVE = """
if redis.call('HGET', KEYS[3], 'ended') then return -1 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], '1', 'EX', 60)
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
"""
# KEYS lines; ARGV the line that was taken last, which goes. Answers the first one then.
TAKE = """
if redis.call('LINDEX', KEYS[1], 0) == ARGV[1] then redis.call('LPOP', KEYS[1]) end
return redis.call('LINDEX', KEYS[1], 0)
"""


class Calls:
    """Hears calls, and makes those that bring input; raises StoreUnavailable."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._give, self._take = client.register_script(GIVE), client.register_script(TAKE)
        # Each run's line that was taken last: the store may have it still.
        self._taken: dict[str, bytes] = {}

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
            except Exception:
                # Without it nobody here would be told of anything any more.
                logger.exception("the listener to calls failed, and goes on")
                time.sleep(RETRY_SECONDS)

    def _listen(self, heard: Callable[[str, str], object]) -> None:
        with self._client.pubsub(ignore_subscribe_messages=True) as subscribed:
            subscribed.subscribe(CHANNEL)
            with _once(subscribed.connection):
                subscribed.get_message(timeout=LISTEN_SECONDS)
                heard("", "")
                while True:
                    message = subscribed.get_message(timeout=LISTEN_SECONDS)
                    if message is not None:
                        run_id, _, what = message["data"].decode().partition(" ")
                        heard(run_id, what)

    def give_input(self, run_id: str, line: str | None) -> None:
        """Hand a line, with its end, to a run that asks for input; None is the end of all input.

        Raises: TooMany where a hundred wait there already; NotWaiting after its end.
        """
        key, line_id = _input(run_id), new_id()
        keys = [key, f"{key}:{line_id}", f"run:{run_id}"]
        with store_errors():
            args = [json.dumps([line_id, line]), MOST_LINES, INPUT_SECONDS, CHANNEL, run_id]
            given = self._give(keys=keys, args=args)
        if given < 0:
            raise NotWaiting("This run has ended, and reads no input.")
        if not given:
            raise TooMany("The run has not read what was typed before. Please wait until it asks.")

    def take_input(self, run_id: str) -> tuple[str | None] | None:
        """The next line that was typed, in a tuple; None where there is none."""
        key = _input(run_id)
        with store_errors():
            found: bytes | None = self._take(keys=[key], args=[self._taken.get(run_id, b"")])
        if found is None:
            return None
        self._taken[run_id] = found
        # It may be a password, and should not lie there until the next one is asked for.
        with contextlib.suppress(StoreUnavailable), store_errors():
            self._take(keys=[key], args=[found])
        return (json.loads(found)[1],)

    def forget(self, run_id: str) -> None:
        """The run is over: nobody here takes what was typed for it."""
        self._taken.pop(run_id, None)


@contextlib.contextmanager
def _once(connection: Any) -> Iterator[None]:
    """While it lasts, a lost connection is told of: the client would make another, and calls between would be lost."""
    before, connection.retry = connection.retry, redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    try:
        yield
    finally:
        connection.retry = before


def _input(run_id: str) -> str:
    return f"run:{run_id}:typed"
