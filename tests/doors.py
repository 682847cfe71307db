"""The doors as tests know them: what each asks for, by hand, and a request or an event that tries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNKNOWN = "A" * 22
# What a door asks for: nothing, a login, to be the run's owner, or something that none of these people have.
PUBLIC, LOGIN, OWNER, OTHERS = "public", "login", "owner", "others'"
# Tokens: a page takes none, some doors take any.
NONE, ANY = "none", "any"
START = {"job": "silent"}


@dataclass(frozen=True)
class Row:
    """A door of HTTP: what it asks for, the scopes one of which a token needs, and a request, with RUN for a run."""

    door: str
    asks: str
    scope: str
    path: str
    method: str = "GET"
    body: Any = None
    status: tuple[int, ...] = ()


@dataclass(frozen=True)
class Event:
    """A door of Socket.IO."""

    door: str
    asks: str
    message: dict[str, Any]


API = "/api/v1.0"
PAGES = [
    Row("http:static", PUBLIC, NONE, "/static/base.css", status=(200,)),
    Row("http:views.vendor", PUBLIC, NONE, "/vendor/manifest.json", status=(200,)),
    Row("http:views.health", PUBLIC, NONE, "/healthz", status=(200,)),
    Row("http:views.ready", PUBLIC, NONE, "/readyz", status=(200, 503)),
    Row("http:auth.login", PUBLIC, NONE, "/login", status=(302,)),
    Row("http:auth.redirect", PUBLIC, NONE, "/redirect", status=(400,)),
    # The question whether one really wants to; nobody has nothing to end.
    Row("http:auth.logout", PUBLIC, NONE, "/logout", status=(200,)),
    Row("http:views.index", LOGIN, NONE, "/"),
    Row("http:views.job", LOGIN, NONE, "/jobs/count"),
    Row("http:views.run", OWNER, NONE, "/runs/RUN"),
    Row("http:codepage.page", LOGIN, NONE, "/code"),
    Row("http:codepage.job", LOGIN, NONE, "/jobs/code"),
    Row("http:codepage.source", OTHERS, NONE, "/runs/RUN/code"),
    Row("http:downloads.output", OWNER, NONE, "/runs/RUN/output"),
    Row("http:tokens.page", LOGIN, NONE, "/tokens"),
    Row("http:tokens.make", LOGIN, NONE, "/tokens", "POST", status=(400,)),
    Row("http:tokens.revoke", OTHERS, NONE, f"/tokens/{UNKNOWN}/revoke", "POST"),
    Row("http:ticker.page", LOGIN, NONE, "/test"),
    Row("http:channels_page.page", LOGIN, NONE, "/channels"),
    Row("http:channels_page.oboe", LOGIN, NONE, "/channels/oboe"),
]
PROGRAMS = [
    Row("http:api.description", PUBLIC, ANY, f"{API}/openapi.json", status=(200,)),
    Row("http:api.manual", PUBLIC, ANY, f"{API}/docs", status=(200,)),
    Row("http:api.me", LOGIN, ANY, f"{API}/me"),
    Row("http:api.jobs", LOGIN, "read", f"{API}/jobs"),
    Row("http:api.job", LOGIN, "read", f"{API}/jobs/count"),
    Row("http:api.runs", LOGIN, "read", f"{API}/runs"),
    Row("http:api.start", LOGIN, "run", f"{API}/runs", "POST", START),
    Row("http:api.run", OWNER, "read", f"{API}/runs/RUN"),
    Row("http:api.output", OWNER, "read", f"{API}/runs/RUN/output?follow=false"),
    Row("http:api.search", OWNER, "read", f"{API}/runs/RUN/search?text=0"),
    # Nothing is asked for by this run.
    Row("http:api.give_input", OWNER, "run", f"{API}/runs/RUN/input", "POST", {"line": "x"}, status=(409,)),
    Row("http:api.stop", OWNER, "stop", f"{API}/runs/RUN/stop", "POST"),
    # A thread cannot be killed, which is said to who might.
    Row("http:api.kill", OWNER, "stop", f"{API}/runs/RUN/kill", "POST", status=(200, 403)),
    Row("http:channels.all_", LOGIN, "read channels", f"{API}/channels"),
    Row("http:channels.set_", LOGIN, "channels", f"{API}/channels", "PATCH", {"values": {"matrix": 1}}),
    Row("http:channels.set_one", LOGIN, "channels", f"{API}/channels/matrix", "PUT", {"value": 1}),
    Row("http:channels.one", LOGIN, "read channels", f"{API}/channels/matrix"),
    Row("http:channels.delete", LOGIN, "channels", f"{API}/channels/never-set", "DELETE", status=(404,)),
    Row("http:channels.set_stream", LOGIN, "read channels", f"{API}/set_stream", "POST", {"Stream": ["matrix"]}),
    Row("http:channels.stream", LOGIN, "read channels", f"{API}/stream?channel=matrix&follow=false"),
    Row("http:examples.page", LOGIN, ANY, "/examples/"),
    Row("http:examples.plain", LOGIN, ANY, "/examples/plain"),
    Row("http:examples.streamed", LOGIN, ANY, "/examples/streamed"),
]
TASK = {"method": "echo", "text": "x"}
CALLS = [
    *(
        Row(f"rpc:{name}", LOGIN, ANY, "/rpc", body={"text": "x"})
        for name in ("echo", "reverse", "uppercase", "lowercase")
    ),
    Row("rpc:celery_echo", LOGIN, "run", "/rpc", body=TASK),
    Row("rpc:get_result", OTHERS, "read", "/rpc", body={"task_id": UNKNOWN}),
    Row("rpc:jobs.list", LOGIN, "read", "/rpc", body={}),
    Row("rpc:runs.start", LOGIN, "run", "/rpc", body=START),
    Row("rpc:runs.status", OWNER, "read", "/rpc", body={"run": "RUN"}),
    Row("rpc:runs.output", OWNER, "read", "/rpc", body={"run": "RUN"}),
    Row("rpc:runs.stop", OWNER, "stop", "/rpc", body={"run": "RUN"}),
]
EVENTS = [
    Event("socket:start_request", LOGIN, START),
    Event("socket:watch", OWNER, {"run": "RUN"}),
    Event("socket:search", OWNER, {"run": "RUN", "text": "0"}),
    Event("socket:input", OWNER, {"run": "RUN", "line": "x"}),
    Event("socket:stop_request", OWNER, {"run": "RUN"}),
    Event("socket:kill_request", OWNER, {"run": "RUN"}),
    # They concern what this connection watches, and nothing else.
    Event("socket:unwatch", LOGIN, {"run": "RUN"}),
]
ROWS = [*PAGES, *PROGRAMS, *CALLS]
