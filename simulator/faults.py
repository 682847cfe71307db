"""The middleware that counts requests, waits, and answers with the faults that were ordered or drawn."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from simulator.answers import STATE, Fault, State, problem, tracking_id

MINUTE = 60.0
LOGIN = ("/authorize", "/access_token", "/revoke")


@web.middleware
async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request, then answer it by a fault or by its handler; every answer carries a tracking id."""
    state = request.app[STATE]
    path = request.path.removeprefix("/v1")
    state.counts[path] += 1
    if state.knobs.latency and path not in LOGIN:
        await asyncio.sleep(state.knobs.latency)
    fault = await _ordered(request, state, path) or _drawn(state, path) or _limited(request, state, path)
    answer = fault or await _handled(request, handler)
    answer.headers.setdefault("trackingid", tracking_id())
    return answer


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return problem(error.status)


async def _ordered(request: web.Request, state: State, path: str) -> web.Response | None:
    fault = next((fault for fault in state.faults if path.startswith(fault.path)), None)
    if fault is None:
        return None
    fault.times -= 1
    if not fault.times:
        state.faults.remove(fault)
    await asyncio.sleep(fault.delay)
    if fault.cut and request.transport is not None:
        request.transport.abort()
    return _answer(fault) if fault.status or fault.cut else None


def _answer(fault: Fault) -> web.Response:
    status = fault.status or HTTPStatus.BAD_GATEWAY
    if fault.body is None:
        return problem(status, retry_after=fault.retry_after)
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    return web.Response(status=status, text=fault.body, content_type=fault.content_type, headers=headers)


def _drawn(state: State, path: str) -> web.Response | None:
    """A fault by chance, for API requests alone: a login should be dull."""
    knobs = state.knobs
    if path.startswith(LOGIN):
        return None
    draw = state.chance.random()
    if draw < knobs.error_rate:
        return problem(HTTPStatus.BAD_GATEWAY)
    if draw < knobs.error_rate + knobs.limit_rate:
        return _too_many(state)
    if draw < knobs.error_rate + knobs.limit_rate + knobs.locked_rate:
        return problem(HTTPStatus.LOCKED, retry_after=knobs.retry_after or None)
    return None


def _limited(request: web.Request, state: State, path: str) -> web.Response | None:
    most, now = state.knobs.requests_per_minute, time.monotonic()
    if not most or path.startswith(LOGIN):
        return None
    recent = state.recent.setdefault(request.headers.get("Authorization", ""), deque())
    while recent and now - recent[0] >= MINUTE:
        recent.popleft()
    if len(recent) >= most:
        return _too_many(state)
    recent.append(now)
    return None


def _too_many(state: State) -> web.Response:
    # Webex' edge answers 429 with a page for people, so no client may count on JSON.
    page = "<html><head><title>429 Too Many Requests</title></head><body><h1>429 Too Many Requests</h1></body></html>"
    headers = {"Retry-After": state.knobs.retry_after} if state.knobs.retry_after else {}
    return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS, text=page, content_type="text/html", headers=headers)
