"""What a job may ask of its run: the injected `token` and `run`; a job's thread never touches the store itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from app.model import User
from app.values import encoded, name_of

PROGRESS_SECONDS = 0.2


class JobToken:
    """The injected `token`: call it for an access token that is good now; `api_url` is where it is accepted.

    Calling it may take a network round trip, so async jobs use `await asyncio.to_thread(token)`.

    Raises: LoginAgain when the login has ended for good; ProviderUnavailable.
    """

    def __init__(self, fresh: Callable[[], str], api_url: str) -> None:
        self._fresh = fresh
        self.api_url = api_url

    def __call__(self) -> str:
        """An access token of the user who pressed Start."""
        return self._fresh()

    def __repr__(self) -> str:
        """Without the token."""
        return "<token>"


class JobChannel:
    """A named live value: all who stream it have what it is set to."""

    def __init__(self, name: str, store: Callable[[str, str], object]) -> None:
        self.name = name
        self._store = store

    def set(self, value: Any) -> None:
        """Give it a value, anything that JSON can hold; it is stored when this returns.

        While the store is away the newest value waits for it, and this returns.

        Raises: ValueError for what is no such value, or too large; TooMany where there are too many channels.
        """
        self._store(self.name, encoded(value))


class JobRun:
    """The injected `run`: its `id`, its `user`, how far it has come, and channels."""

    def __init__(
        self,
        run_id: str,
        user: User,
        tell: Callable[[dict[str, Any]], object],
        set_channel: Callable[[str, str], object],
    ) -> None:
        self.id = run_id
        self.user = user
        self._tell, self._set_channel = tell, set_channel
        self._told = 0.0

    def progress(self, done: float, total: float) -> None:
        """Show how far the run has come; the page gets five of these a second at most, and always the last.

        Raises: ValueError where these are no numbers from 0 to `total`.
        """
        if not 0 <= done <= total < math.inf:
            raise ValueError(f"progress: done must be between 0 and total, not {done!r} of {total!r}")
        now = time.monotonic()
        if done == total or now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._tell({"progress": (done, total)})

    def channel(self, name: str) -> JobChannel:
        """A channel of the installation, which is made as it is first set.

        Raises: ValueError where this is no name.
        """
        return JobChannel(name_of(name), self._set_channel)
