"""Who may do what: one table that every door asks, and a row for every door."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum

from app import audit
from app.errors import Forbidden, LoginRequired, NotFound
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
    TOKENS = "make tokens"
    ASK_WHO = "ask who one is"
    CALL = "call"
    SEE_CHANNELS = "see channels"
    SET_CHANNELS = "set channels"
    TRY_EXAMPLES = "try the examples"
    SEE_STATE = "see the system's state"


class Scope(StrEnum):
    """What a personal access token may be good for."""

    READ = "read"
    RUN = "run"
    STOP = "stop"
    CODE = "code"
    CHANNELS = "channels"


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
    Action.TOKENS: _logged_in,
    Action.ASK_WHO: _logged_in,
    Action.CALL: _logged_in,
    # They belong to all users of the installation together.
    Action.SEE_CHANNELS: _logged_in,
    Action.SET_CHANNELS: _logged_in,
    Action.TRY_EXAMPLES: _logged_in,
    Action.SEE_STATE: _logged_in,
}

# The scope that a token needs, beyond the rule, which holds for its user; None: any will do. Without a row: none does.
SCOPES: dict[Action, Scope | None] = {
    Action.LIST_JOBS: Scope.READ,
    Action.START: Scope.RUN,
    Action.LIST_RUNS: Scope.READ,
    Action.WATCH: Scope.READ,
    Action.STOP: Scope.STOP,
    Action.DOWNLOAD: Scope.READ,
    Action.CODE: Scope.CODE,
    Action.INPUT: Scope.RUN,
    Action.ASK_WHO: None,
    Action.CALL: None,
    Action.SEE_CHANNELS: Scope.READ,
    Action.SET_CHANNELS: Scope.CHANNELS,
    Action.TRY_EXAMPLES: None,
}
# Scopes that serve instead: who may set a channel may see it.
INSTEAD: dict[Action, Scope] = {Action.SEE_CHANNELS: Scope.CHANNELS}
# The doors that take tokens, by the beginnings of their names; all others ask for a session.
TOKEN_DOORS = ("http:api.", "http:channels.", "http:rpc.", "http:examples.")

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
    # Socket.IO namespaces of their own: the state of the system, in numbers; the example
    "socket:/status:connect": Action.SEE_STATE,
    "socket:/status:disconnect": Action.PUBLIC,
    "socket:/test:connect": Action.SEE_STATE,
    "socket:/test:disconnect": Action.PUBLIC,
    "socket:/test:my event": Action.SEE_STATE,
    "http:ticker.page": Action.SEE_STATE,
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
    # the page of personal access tokens
    "http:tokens.page": Action.TOKENS,
    "http:tokens.make": Action.TOKENS,
    "http:tokens.revoke": Action.TOKENS,
    # the pages of channels
    "http:channels_page.page": Action.SEE_CHANNELS,
    "http:channels_page.oboe": Action.SEE_CHANNELS,
    # the HTTP API; starting typed code is Action.CODE beside START
    "http:api.me": Action.ASK_WHO,
    "http:api.jobs": Action.LIST_JOBS,
    "http:api.job": Action.LIST_JOBS,
    "http:api.runs": Action.LIST_RUNS,
    "http:api.start": Action.START,
    "http:api.run": Action.WATCH,
    "http:api.stop": Action.STOP,
    "http:api.kill": Action.STOP,
    "http:api.give_input": Action.INPUT,
    "http:api.search": Action.WATCH,
    "http:api.output": Action.WATCH,
    "http:api.description": Action.PUBLIC,
    "http:api.manual": Action.PUBLIC,
    # JSON-RPC: the door, then each method; starting typed code as above
    "http:rpc.call": Action.CALL,
    "rpc:echo": Action.CALL,
    "rpc:reverse": Action.CALL,
    "rpc:uppercase": Action.CALL,
    "rpc:lowercase": Action.CALL,
    "rpc:celery_echo": Action.START,
    "rpc:get_result": Action.WATCH,
    "rpc:jobs.list": Action.LIST_JOBS,
    "rpc:runs.start": Action.START,
    "rpc:runs.status": Action.WATCH,
    "rpc:runs.output": Action.WATCH,
    "rpc:runs.stop": Action.STOP,
    # channels
    "http:channels.all_": Action.SEE_CHANNELS,
    "http:channels.one": Action.SEE_CHANNELS,
    "http:channels.set_": Action.SET_CHANNELS,
    "http:channels.set_one": Action.SET_CHANNELS,
    "http:channels.delete": Action.SET_CHANNELS,
    "http:channels.set_stream": Action.SEE_CHANNELS,
    "http:channels.stream": Action.SEE_CHANNELS,
    # websockets beside streams and middleware, where EXAMPLES is on
    "http:examples.page": Action.TRY_EXAMPLES,
    "http:examples.plain": Action.TRY_EXAMPLES,
    "http:examples.streamed": Action.TRY_EXAMPLES,
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


def require_scope(scopes: Collection[Scope] | None, action: Action, user: User) -> None:
    """Come back where a token with these scopes is good for the action, or where a session asks (None).

    Raises: Forbidden.
    """
    if scopes is None:
        return
    if action not in SCOPES:
        audit.denied("scope", user.id, detail=action)
        raise Forbidden("No token is good for this: it takes a login in the browser.")
    scope = SCOPES[action]
    if scope is not None and scope not in scopes and INSTEAD.get(action) not in scopes:
        audit.denied("scope", user.id, detail=action)
        raise Forbidden(f"This token lacks the scope `{scope}`.")


def action_of(door: str) -> Action | None:
    """The row of a door: `socket:EVENT`, `http:ENDPOINT` or `rpc:METHOD`; one without a row (None) stays shut."""
    return DOORS.get(door)
