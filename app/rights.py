"""Who may do what: one table that every door asks, and a row for every door."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from app import audit
from app.errors import LoginRequired, NotFound
from app.model import Run, User


class Action(StrEnum):
    """What a door does; PUBLIC doors ask for no login."""

    PUBLIC = "public"
    LIST_JOBS = "list jobs"
    START = "start"
    LIST_RUNS = "list runs"
    WATCH = "watch"
    STOP = "stop"
    DOWNLOAD = "download"
    CODE = "type code"
    INPUT = "input"


def _anybody(_user: User | None, _run: Run | None) -> bool:
    return True


def _logged_in(user: User | None, _run: Run | None) -> bool:
    return user is not None


def _owner(user: User | None, run: Run | None) -> bool:
    return user is not None and (run is None or run.user.id == user.id)


RULES: dict[Action, Callable[[User | None, Run | None], bool]] = {
    Action.PUBLIC: _anybody,
    Action.LIST_JOBS: _logged_in,
    Action.START: _logged_in,
    Action.LIST_RUNS: _logged_in,
    Action.WATCH: _owner,
    Action.STOP: _owner,
    Action.DOWNLOAD: _owner,
    # Whom CODE_USERS names, beyond that: app/typed.py.
    Action.CODE: _logged_in,
    Action.INPUT: _owner,
}

DOORS: dict[str, Action] = {
    # Socket.IO events
    "socket:connect": Action.LIST_JOBS,
    "socket:disconnect": Action.PUBLIC,
    "socket:start_request": Action.START,
    "socket:stop_request": Action.STOP,
    "socket:kill_request": Action.STOP,
    "socket:input": Action.INPUT,
    "socket:watch": Action.WATCH,
    "socket:unwatch": Action.WATCH,
    "socket:ack": Action.WATCH,
    "socket:search": Action.WATCH,
    # pages, by Flask endpoint
    "http:static": Action.PUBLIC,
    "http:views.vendor": Action.PUBLIC,
    "http:views.health": Action.PUBLIC,
    "http:views.ready": Action.PUBLIC,
    "http:views.index": Action.LIST_JOBS,
    "http:views.job": Action.LIST_JOBS,
    "http:views.run": Action.WATCH,
    "http:codepage.page": Action.CODE,
    "http:codepage.job": Action.CODE,
    "http:codepage.source": Action.WATCH,
    "http:downloads.output": Action.DOWNLOAD,
    "http:auth.login": Action.PUBLIC,
    "http:auth.redirect": Action.PUBLIC,
    "http:auth.logout": Action.PUBLIC,
}


def require(user: User | None, action: Action, run: Run | None = None) -> User:
    """The user, if allowed; the audit record has who was not.

    Raises: LoginRequired without a user; NotFound for a foreign run, which so answers like an unknown one.
    """
    if user is None:
        audit.denied("login_required", run=run.id if run else "")
        raise LoginRequired("Please log in.")
    if not RULES[action](user, run):
        audit.denied("foreign_run" if run else "forbidden", user.id, run.id if run else "", action)
        raise NotFound("There is no such run.")
    return user


def action_of(door: str) -> Action | None:
    """The row of a door (`socket:EVENT` or `http:ENDPOINT`); None means that the door has no row and stays shut."""
    return DOORS.get(door)
