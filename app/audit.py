"""The audit record: who came in, started, stopped, took output away, or was refused, by which door and from where.

Each event is a record of the logger `app.audit` with the fields that `EVENTS` names; docs/logs.md has them all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.floods import Floods

logger = logging.getLogger(__name__)

# Every event also has `event`, and `door`, `address` and `forwarded` where they are known.
EVENTS: dict[str, tuple[str, ...]] = {
    "login": ("user",),
    "logout": ("user",),
    "start": ("user", "run", "job", "parameters"),
    "stop": ("user", "run", "job"),
    "kill": ("user", "run", "job"),
    "typed": ("user", "run", "job"),
    "token_made": ("user", "token", "scopes"),
    "token_revoked": ("user", "token"),
    "download": ("user", "run", "job"),
    "denied": ("reason", "user", "run", "detail"),
    "denied_again": ("reason", "user", "count"),
}
# The same denial of the same visitor is recorded once in this time; then its repetitions are, as a number.
REPEAT_SECONDS = 60.0
TELL_SECONDS = 5.0
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Visit:
    """By which door somebody came; `forwarded` is the address that a proxy in front tells, true if it is ours."""

    door: str = ""
    address: str = ""
    forwarded: str = ""


NOBODY = Visit()
_visit: ContextVar[Visit] = ContextVar("visit", default=NOBODY)
_denials: Floods[tuple[str, str, Visit]] = Floods(1, REPEAT_SECONDS)


def arrive(address: str, forwarded: str = "", door: str = "") -> None:
    """What this thread or greenlet does from now on, it does for a visitor from there; every door begins with this."""
    _visit.set(Visit(door, address, forwarded))


def enter(door: str) -> None:
    """The visitor came by `door`, a name of the table of rights."""
    _visit.set(replace(_visit.get(), door=door))


def login(user: str) -> None:
    """A user has logged in."""
    _record("login", user=user)


def logout(user: str) -> None:
    """A user has logged out."""
    _record("logout", user=user)


def start(user: str, run: str, job: str, parameters: Iterable[str]) -> None:
    """A run is started; of its parameters the names alone are recorded."""
    _record("start", user=user, run=run, job=job, parameters=sorted(parameters))


def stop(user: str, run: str, job: str) -> None:
    """A run is asked to stop."""
    _record("stop", user=user, run=run, job=job)


def kill(user: str, run: str, job: str) -> None:
    """A run is to be killed at once."""
    _record("kill", user=user, run=run, job=job)


def typed(user: str, run: str, job: str) -> None:
    """A line was typed for a run; what it says is not recorded."""
    _record("typed", user=user, run=run, job=job)


def download(user: str, run: str, job: str) -> None:
    """A run's output is taken away as a file."""
    _record("download", user=user, run=run, job=job)


def token_made(user: str, token: str, scopes: Iterable[str]) -> None:
    """A personal access token is made; its id is recorded."""
    _record("token_made", user=user, token=token, scopes=list(scopes))


def token_revoked(user: str, token: str) -> None:
    """A personal access token is revoked by its user."""
    _record("token_revoked", user=user, token=token)


def denied(reason: str, user: str = "", run: str = "", detail: str = "") -> None:
    """Somebody was refused; `reason` is a word of docs/logs.md."""
    if _denials.admit((reason, user, _visit.get())):
        _record("denied", logging.WARNING, reason=reason, user=user, run=run, detail=detail)


def tell_repetitions(sleep: Callable[[float], object]) -> None:
    """For ever: record how often the same was denied again."""
    while True:
        sleep(TELL_SECONDS)
        for key, count in _denials.over():
            reason, user, visit = key or (OTHERS, "", NOBODY)
            _visit.set(visit)
            _record("denied_again", logging.WARNING, reason=reason, user=user, count=count)


def _record(event: str, level: int = logging.INFO, **values: Any) -> None:
    logger.log(level, "%s", event, extra={"event": event, **values, **asdict(_visit.get())})
