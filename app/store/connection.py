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
from app.stack import Stack


def connect(settings: Settings, stack: Stack, *, timeout: float | None = None, connections: int | None = None) -> Any:
    """A client that answers in bytes; at most `connections` at once, each command within `timeout` seconds.

    One retry, at once, covers a connection that the server has closed; whoever can wait longer retries on its own.

    Raises: ConfigError naming REDIS_URL.
    """
    del stack  # The stack makes redis' sockets its own when it is made: no client may exist before it.
    seconds = settings.redis_timeout if timeout is None else timeout
    options: dict[str, Any] = {} if settings.redis_url.startswith("unix:") else {"socket_keepalive": True}
    try:
        pool = redis.ConnectionPool.from_url(
            settings.redis_url,
            max_connections=connections or settings.redis_connections,
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
