"""Typed code, as the web server knows it: who may run it, and how far it is isolated where it runs."""

from __future__ import annotations

import time

from app import audit
from app.config import Settings
from app.errors import Forbidden, SandboxRefused, StoreUnavailable
from app.model import User
from app.sandbox.levels import Level, refusal
from app.store.runs import Runs

JOB = "code"
# Where runners wait for its runs, and tell their level.
QUEUE = "process"
EVERYBODY = "*"
FORBIDDEN = "You may not run typed code on this server. The person who runs it can allow it by CODE_USERS."
KEPT_SECONDS = 2.0


class Typed:
    """Asks the store for the runners' levels, at most once in KEPT_SECONDS."""

    def __init__(self, settings: Settings, runs: Runs) -> None:
        self._users = frozenset(each.casefold() for each in settings.code_users)
        self._minimum = Level(settings.sandbox_minimum)
        self._runs = runs
        self._known: tuple[float, Level | None] = (0.0, None)

    def allowed(self, user: User) -> bool:
        """True for those whom CODE_USERS names."""
        return EVERYBODY in self._users or bool(user.email and user.email.casefold() in self._users)

    @property
    def level(self) -> str:
        """The weakest level among the runners that are up; empty while there is none, or the store is away."""
        known = self._reached()
        return "" if known is None else str(known)

    @property
    def sentence(self) -> str:
        """What the level means, for people; empty where it is unknown."""
        known = self._reached()
        return "" if known is None else known.sentence

    @property
    def refusal(self) -> str:
        """Why typed code is refused now, for people; empty where it is not, or nobody knows yet."""
        known = self._reached()
        return "" if known is None or known.strength >= self._minimum.strength else refusal(known, self._minimum)

    def require(self, user: User) -> None:
        """Come back where the user may run typed code; the audit record has who may not.

        Raises: Forbidden.
        """
        if not self.allowed(user):
            audit.denied("code_not_allowed", user.id)
            raise Forbidden(FORBIDDEN)

    def require_walls(self) -> None:
        """Come back where the runners isolate it as the settings ask for; each of them sees to that itself, too.

        Raises: SandboxRefused.
        """
        if self.refusal:
            raise SandboxRefused(self.refusal)

    def _reached(self) -> Level | None:
        now = time.monotonic()
        if now - self._known[0] > KEPT_SECONDS:
            try:
                notes = self._runs.takers(QUEUE).values()
            except StoreUnavailable:
                return self._known[1]
            levels = [Level(note) for note in notes if note in list(Level)]
            self._known = now, min(levels, key=lambda each: each.strength, default=None)
        return self._known[1]
