"""Redis connections for hub code: bounded, with timeouts, and with errors as the product names them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import redis
import redis.backoff
import redis.exceptions
import redis.retry

from app.config import Settings
from app.errors import ConfigError, StoreUnavailable
from app.stack import Permits, Stack


def connect(settings: Settings, stack: Stack, *, timeout: float | None = None, connections: int | None = None) -> Any:
    """A client that answers in bytes; at most `connections` at once, each command within `timeout` seconds.

    Who finds no free connection waits for one. One retry, at once, covers a connection that the server has closed;
    whoever can wait longer retries on its own. The stack comes first: it makes redis' sockets its own.

    Raises: ConfigError naming REDIS_URL.
    """
    most = connections or settings.redis_connections
    seconds = settings.redis_timeout if timeout is None else timeout
    options: dict[str, Any] = {} if settings.redis_url.startswith("unix:") else {"socket_keepalive": True}
    try:
        pool = WaitingPool.from_url(
            settings.redis_url,
            permits=stack.permits(most),
            max_connections=most,
            socket_timeout=seconds,
            socket_connect_timeout=min(seconds, settings.redis_timeout),
            health_check_interval=30,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 1),
            protocol=2,
            password=settings.redis_password.get_secret_value() or None,
            **options,
        )
    except ValueError as error:
        raise ConfigError(f"REDIS_URL: {error}") from None
    return redis.Redis(connection_pool=pool)


class WaitingPool(redis.ConnectionPool):
    """A pool where one waits for a free connection; redis' own, which does so too, would wait with the whole hub."""

    def __init__(self, permits: Permits, **options: Any) -> None:
        super().__init__(**options)
        self._permits = permits

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection, as soon as there is one."""
        self._permits.acquire()
        try:
            return super().get_connection(*args, **options)
        except BaseException:
            self._permits.release()
            raise

    def release(self, connection: Any) -> None:
        """Give a connection back."""
        super().release(connection)
        self._permits.release()


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Turn redis' errors into StoreUnavailable, with a sentence that says what is the matter."""
    try:
        yield
    except redis.exceptions.OutOfMemoryError as error:
        raise StoreUnavailable("The storage is full: nothing can be stored now.") from error
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError) as error:
        raise StoreUnavailable("The storage cannot be reached.") from error
    except redis.exceptions.ResponseError as error:
        if "OOM" in str(error):
            raise StoreUnavailable("The storage is full: nothing can be stored now.") from error
        raise
