"""The stand-in as an aiohttp application, and its life as a process."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from aiohttp import web

from simulator import api, login
from simulator.answers import STATE, State
from simulator.control import control_app
from simulator.faults import faulty
from simulator.grants import Grants
from simulator.knobs import Knobs
from simulator.memory import keep, remember

MOST_BODY = 64 * 1024
END_SECONDS = 0.5


def make_app(knobs: Knobs, *, control: bool = False, state_file: Path | None = None) -> web.Application:
    """The application; `control` opens the door that tests use, which shows every token."""
    app = web.Application(client_max_size=MOST_BODY)
    state = State(knobs, remember(state_file) if state_file else Grants())
    webex = web.Application(client_max_size=MOST_BODY, middlewares=[faulty])
    webex[STATE] = state
    webex.add_routes(
        [
            web.get("/authorize", login.ask),
            web.post("/authorize", login.answer),
            web.post("/access_token", login.token),
            web.post("/revoke", login.revoke),
            web.get("/people/me", api.with_login(api.me)),
            web.get("/rooms", api.with_login(api.rooms)),
            web.get("/messages", api.with_login(api.messages)),
        ]
    )
    if state_file:
        keep(state_file, lambda: state.grants, webex)
    app.add_subapp("/v1", webex)
    if control:
        app.add_subapp("/_control", control_app(state))
    return app


async def serve(knobs: Knobs, host: str, port: int, *, control: bool, state_file: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT; says on stdout where, once it is ready.

    Raises: OSError where the address cannot be had.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    app = make_app(knobs, control=control, state_file=state_file)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=END_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        real_host, real_port = runner.addresses[0][:2]
        shown = f"[{real_host}]" if ":" in real_host else real_host
        sys.stdout.write(f"Webex stand-in ready at http://{shown}:{real_port}/v1\n")
        sys.stdout.flush()
        await ended.wait()
    finally:
        await runner.cleanup()
