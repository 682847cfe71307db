"""The control door, open only with `--control`: tests order faults there, turn knobs, and see tokens and counts.

GET /_control shows everything, DELETE begins anew; POST /_control/faults adds a Fault, DELETE removes all;
PATCH /_control/knobs changes knobs; POST /_control/expire {"kind": "access"|"refresh"} ends tokens;
POST /_control/tokens {"user": 0} makes a pair.
"""

from __future__ import annotations

from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.answers import STATE, Fault, State, problem
from simulator.grants import Grant
from simulator.knobs import Knobs


class Expire(BaseModel):
    """Which tokens are to end now."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["access", "refresh"]


class NewToken(BaseModel):
    """Whose tokens are to be made, as if that person had logged in through this client."""

    model_config = ConfigDict(extra="forbid")

    user: int = Field(0, ge=0)
    client_id: str = "control"


def _shown(state: State) -> web.Response:
    shown = {
        "knobs": state.knobs.model_dump(),
        "counts": dict(state.counts),
        "faults": [fault.model_dump() for fault in state.faults],
        "tokens": state.grants.valid(),
        "people": [person.record for person in state.world.people],
    }
    return web.json_response(shown)


@web.middleware
async def plain_errors(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer wrong control requests with a sentence."""
    try:
        answer: web.StreamResponse = await handler(request)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return problem(400, wrong)
    return answer


async def show(request: web.Request) -> web.Response:
    """GET: everything."""
    return _shown(request.app[STATE])


async def reset(request: web.Request) -> web.Response:
    """DELETE: everything since the start."""
    request.app[STATE].reset()
    return _shown(request.app[STATE])


async def add_fault(request: web.Request) -> web.Response:
    """POST faults: one more, after those that wait."""
    state = request.app[STATE]
    state.faults.append(Fault.model_validate_json(await request.read()))
    return _shown(state)


async def clear_faults(request: web.Request) -> web.Response:
    """DELETE faults: none any more."""
    state = request.app[STATE]
    state.faults.clear()
    return _shown(state)


async def turn_knobs(request: web.Request) -> web.Response:
    """PATCH knobs: change those named."""
    state = request.app[STATE]
    changed = Knobs.model_validate_json(await request.read()).model_dump(exclude_unset=True)
    state.turn(Knobs(**{**state.knobs.model_dump(), **changed}))
    return _shown(state)


async def expire(request: web.Request) -> web.Response:
    """POST expire: all tokens of a kind."""
    state = request.app[STATE]
    state.grants.expire(Expire.model_validate_json(await request.read()).kind)
    return _shown(state)


async def make_tokens(request: web.Request) -> web.Response:
    """POST tokens: a pair without the login page."""
    state = request.app[STATE]
    wanted = NewToken.model_validate_json(await request.read())
    if wanted.user >= len(state.world.people):
        return problem(400, f"user must be below {len(state.world.people)}.")
    redirect = "http://localhost/"
    code = state.grants.allow(Grant(wanted.client_id, redirect, "", wanted.user, "spark:all"))
    lives = (state.knobs.token_lifetime, state.knobs.refresh_lifetime)
    issued = state.grants.redeem(code, lives, client_id=wanted.client_id, redirect_uri=redirect, verifier="")
    return web.json_response({"access_token": issued.access_token, "refresh_token": issued.refresh_token})


def control_app(state: State) -> web.Application:
    """The control door as an application of its own, so that ordered faults do not reach it."""
    app = web.Application(middlewares=[plain_errors])
    app[STATE] = state
    app.add_routes(
        [
            web.get("", show),
            web.delete("", reset),
            web.post("/faults", add_fault),
            web.delete("/faults", clear_faults),
            web.patch("/knobs", turn_knobs),
            web.post("/expire", expire),
            web.post("/tokens", make_tokens),
        ]
    )
    return app
