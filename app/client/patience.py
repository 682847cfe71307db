"""How long the client goes on with a server that is away, and how it tells."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from app.client.exits import Away

# Seconds until the next try, which grow; a server that restarts is back in one or two.
FIRST, GROWTH, LONGEST = 0.2, 1.7, 5.0
LONGEST_ASKED = 60.0
USUAL = 600.0


class Patience:
    """Tries of one kind of call: `failed` waits for the next try, `well` ends the trouble.

    `given` are the seconds to go on for; None: none until the server has answered once, then ten minutes. `say` gets a
    sentence when trouble begins and when it ends. `pause` sleeps.
    """

    def __init__(self, url: str, given: float | None, say: Callable[[str], object]) -> None:
        self._url, self._given, self._say = url, given, say
        self.pause: Callable[[float], object] = time.sleep
        self.answered = False
        self._since = self._next = 0.0
        self._fruitless = 0.0

    @property
    def _most(self) -> float:
        return self._given if self._given is not None else USUAL if self.answered else 0.0

    def heir(self, say: Callable[[str], object], pause: Callable[[float], object]) -> Patience:
        """The same for another thread."""
        other = Patience(self._url, self._given, say)
        other.pause, other.answered = pause, self.answered
        return other

    def well(self) -> None:
        """The server has answered."""
        self.answered = True
        if self._since:
            self._say(f"{self._url} is back.")
        self._since = 0.0

    def failed(self, reason: str, retry_after: float | None = None) -> None:
        """Wait until it is time for the next try.

        Raises: Away where that is too late.
        """
        now = time.monotonic()
        if retry_after is not None:
            # Something is there, and says that the server will be.
            self.answered = True
        begins = not self._since
        if begins:
            self._since, self._next = now, FIRST
        most = self._most
        left = self._since + most - now
        if left <= 0:
            waited = f" It was waited for {most:g} s." if most else ""
            raise Away(f"{self._url} cannot be reached: {reason}.{waited}")
        if begins:
            self._say(f"Waiting for {self._url}, {most:g} s at most: {reason}.")
        delay = self._next if retry_after is None else max(retry_after, FIRST)
        self._next = min(self._next * GROWTH, LONGEST)
        self.pause(min(delay, left))

    def fruitless(self, lasted: float) -> None:
        """An answer that ought to go on has ended after so many seconds, without anything new.

        Raises: Away where this goes on for too long.
        """
        now = time.monotonic()
        if lasted > LONGEST or not self._fruitless:
            # Something in between ends what is silent; or it is the first.
            self._fruitless, self._next = now, FIRST
        elif now - self._fruitless > self._most:
            raise Away(f"{self._url} ends its answers before they have said anything.")
        self.pause(self._next)
        self._next = min(self._next * GROWTH, LONGEST)

    def fruitful(self) -> None:
        """An answer has said something new."""
        self._fruitless = 0.0


def retry_after(header: str | None) -> float | None:
    """The seconds of a Retry-After header, which may have a date, or nonsense (then None); a minute at most."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_ASKED) if math.isfinite(seconds) else None
