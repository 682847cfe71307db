"""A lane: commands without the client's ceremony around each, for the output path, where microseconds count."""

from __future__ import annotations

import hashlib
from typing import Any

from redis.exceptions import ConnectionError as Lost
from redis.exceptions import NoScriptError, ResponseError

from app.stack import Permits


class Lane:
    """Calls the server on connections that it keeps; answers are as the server sends them, in bytes and lists.

    A command whose connection is lost is sent once more on a new one: only commands that may be repeated belong here.
    """

    def __init__(self, client: Any, permits: Permits) -> None:
        # The permits are as many as the client's connections, which belong to the lane alone.
        self._pool, self._permits = client.connection_pool, permits
        self._idle: list[Any] = []

    def call(self, *command: Any) -> Any:
        """Send one command and read its answer.

        Raises: what redis raises.
        """
        with self._permits:
            if self._idle:
                try:
                    return self._call(self._idle.pop(), command)
                except Lost:
                    # The server has closed it meanwhile, and then the others too.
                    while self._idle:
                        self._drop(self._idle.pop())
            return self._call(self._pool.get_connection(), command)

    def _call(self, connection: Any, command: tuple[Any, ...]) -> Any:
        try:
            connection.send_command(*command)
            answer = connection.read_response()
        except ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:
            # Its answer may still come: nobody else may get it.
            self._drop(connection)
            raise
        self._idle.append(connection)
        return answer

    def _drop(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)


class LaneScript:
    """A server-side script, called through a lane; loaded where the server does not know it."""

    def __init__(self, lane: Lane, text: str) -> None:
        self._lane, self._text = lane, text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: list[str], args: list[Any]) -> Any:
        """Run it.

        Raises: what redis raises.
        """
        try:
            return self._lane.call("EVALSHA", self._digest, len(keys), *keys, *args)
        except NoScriptError:
            return self._lane.call("EVAL", self._text, len(keys), *keys, *args)
