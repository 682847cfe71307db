"""Redis as a worker's broker, where what is no message at all is passed over: kombu's own transport ends the worker."""

from __future__ import annotations

import logging
from queue import Empty
from typing import Any

from kombu.transport import redis

logger = logging.getLogger(__name__)


class Channel(redis.Channel):  # type: ignore[misc] # kombu is untyped
    """kombu's channel, but for what it reads."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (Empty, *self.connection_errors):
            raise
        except Exception as error:  # noqa: BLE001 - whatever somebody has put there, it is out of the queue already
            logger.warning("what is no message was taken out of the broker's queue: %s", type(error).__name__)
            return True


class Transport(redis.Transport):  # type: ignore[misc] # kombu is untyped
    """kombu's transport with that channel."""

    Channel = Channel
