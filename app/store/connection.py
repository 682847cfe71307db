"""Redis connections for hub code: bounded, with timeouts, and with errors as the product names them.

docs/storage.md says what each limit is for.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import redis
import redis.backoff
import redis.exceptions
import redis.retry

from app.config import Settings
from app.errors import ConfigError, StoreUnavailable
from app.stack import Permits, Stack

PROBE_SECONDS = 1.0
# A peer that is gone without a word is found after 15 + 3 * 5 s, on connections where nothing else would tell.
KEEPALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
UNREACHABLE = "The storage cannot be reached."
FULL = "The storage is full: nothing can be stored now."
# What the server says, by the first word of its answer.
REASONS = {
    "OOM": FULL,
    "MISCONF": "The storage cannot write to its disk, which may be full: nothing can be stored now.",
    "LOADING": "The storage has just started and is loading its data.",
    "BUSY": "The storage is busy and answers nobody now.",
    "READONLY": "The storage is a copy that takes no data: nothing can be stored now.",
    "MASTERDOWN": "The storage has lost its main server.",
    "NOREPLICAS": "The storage has lost its copies: nothing can be stored now.",
    "CLUSTERDOWN": "A part of the storage is missing.",
    "TRYAGAIN": "The storage is being moved.",
}
# redis' client drops the first word of some answers and makes them kinds of error.
KINDS = {
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
}
WORDS = re.compile(rf"\b({'|'.join(REASONS)})\b")


def connect(
    settings: Settings,
    stack: Stack,
    *,
    timeout: float | None = None,
    connections: int | None = None,
    breaker: Breaker | None = None,
) -> Any:
    """A client that answers in bytes; at most `connections` at once, each command within `timeout` seconds.

    Who finds no free connection waits for one. One retry, at once, covers a connection that the server has closed;
    no retry follows a timeout, whose time is over. Whoever can wait longer retries on its own. With a `breaker` a
    store that is known to be out of reach is tried by one caller at a time, and the others are told at once.
    The stack comes first: it makes redis' sockets its own.

    Raises: ConfigError naming REDIS_URL.
    """
    most = connections or settings.redis_connections
    seconds = settings.redis_timeout if timeout is None else timeout
    options: dict[str, Any] = {}
    if not settings.redis_url.startswith("unix:"):
        options = {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE}
    try:
        pool = WaitingPool.from_url(
            settings.redis_url,
            permits=stack.permits(most),
            breaker=breaker,
            max_connections=most,
            socket_timeout=seconds,
            socket_connect_timeout=min(seconds, settings.redis_timeout),
            # A PING before a command finds nothing that the command's own timeout and retry do not find, and a store
            # whose disk is full refuses it, though it can be read.
            health_check_interval=0,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 1, (redis.exceptions.ConnectionError,)),
            protocol=2,
            password=settings.redis_password.get_secret_value() or None,
            **options,
        )
    except ValueError as error:
        raise ConfigError(f"REDIS_URL: {error}") from None
    return _Client(connection_pool=pool)


class _Client(redis.Redis):
    """redis' own, without what it measures around each command, which takes as long as the command."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and give its answer; once more, on a new connection, where the server has closed the old."""
        connection: Any = self.connection_pool.get_connection()
        client: Any = self
        try:
            return connection.retry.call_with_retry(
                lambda: client._send_command_parse_response(connection, args[0], *args, **options),
                lambda _error: connection.disconnect(),
            )
        finally:
            self.connection_pool.release(connection)


class Breaker:
    """Refuses calls to a store that has just been out of reach, but for one at a time that tries it again.

    `seconds` is the time that a call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open = False
        self._next_try = 0.0

    def check(self) -> None:
        """Come back where the caller may try.

        Raises: redis' ConnectionError.
        """
        now = time.monotonic()
        if not self._open:
            return
        if now < self._next_try:
            raise redis.exceptions.ConnectionError("the store was out of reach a moment ago")
        self._next_try = now + self._seconds

    def note(self, *, reached: bool) -> None:
        """A caller has reached the store, or has not."""
        if reached:
            self._next_try = 0.0
        else:
            # A first failure may concern one connection alone: the next caller tries at once.
            pause = PROBE_SECONDS if self._open else 0.0
            self._next_try = max(self._next_try, time.monotonic() + pause)
        self._open = not reached

    def shut(self, seconds: float) -> None:
        """Somebody else tries the store again and again, so for so long nobody needs to."""
        self._open, self._next_try = True, time.monotonic() + seconds


class WaitingPool(redis.ConnectionPool):
    """A pool where one waits for a free connection; redis' own, which does so too, would wait with the whole hub.

    The one used last is taken first, and as it is: whether the server has closed it meanwhile is found by using it.
    """

    def __init__(self, permits: Permits, breaker: Breaker | None = None, **options: Any) -> None:
        self._kept: list[Any] = []
        super().__init__(**options)
        self._permits, self._breaker = permits, breaker

    def reset(self) -> None:
        """As the base's, which calls it in a forked process, too."""
        self._kept = []
        super().reset()

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection, as soon as there is one; one that fails is released by the base."""
        self._permits.acquire()
        if self._breaker is not None:
            try:
                # After the wait, which others may have spent on finding out.
                self._breaker.check()
            except redis.exceptions.ConnectionError:
                self._permits.release()
                raise
        self._checkpid()
        with contextlib.suppress(IndexError):
            return self._kept.pop()
        return super().get_connection(*args, **options)

    def release(self, connection: Any) -> None:
        """Give a connection back; redis has closed it where it failed."""
        reached = connection.is_connected
        if reached and connection.pid == self.pid:
            self._kept.append(connection)
        else:
            super().release(connection)
        if self._breaker is not None:
            self._breaker.note(reached=reached)
        self._permits.release()


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Turn redis' errors into StoreUnavailable, with a sentence that says what is the matter."""
    try:
        yield
    except redis.exceptions.AuthenticationError as error:
        raise StoreUnavailable("The storage does not accept this server's password.") from error
    except (redis.exceptions.RedisError, OSError) as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise StoreUnavailable(reason) from error


def _reason(error: Exception) -> str | None:
    """What is the matter with the store; None where it is not the store's matter."""
    for kind, word in KINDS.items():
        if isinstance(error, kind):
            return REASONS[word]
    if "max number of clients" in str(error):
        return "The storage has as many connections as it can hold."
    if isinstance(error, (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)):
        return UNREACHABLE
    found = WORDS.search(str(error)) if isinstance(error, redis.exceptions.ResponseError) else None
    return REASONS[found[1]] if found else None
