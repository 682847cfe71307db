"""The composition root: puts the parts together for one web process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from app import auth, capture, events, headers, keys, views
from app.catalog import Catalog
from app.config import Settings
from app.console import Console
from app.credentials import Credentials
from app.errors import RealtimeError
from app.executors.thread import ThreadExecutor
from app.follow import Followers
from app.model import Status, new_id
from app.output import Output
from app.provider import Provider
from app.stack import SWITCH_SECONDS, Stack, make_stack
from app.store.connection import connect
from app.store.log import Log
from app.store.runs import Runs
from app.store.sessions import install_sessions
from app.store.tokens import TokenStore

logger = logging.getLogger(__name__)

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
PING_SECONDS = 6


def create_app(settings: Settings) -> Flask:
    """The Flask application of a web process, with everything that runs beside it in the hub.

    `app.extensions["shutdown"]` ends the process's runs: call it in the hub with the seconds it may take.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    capture.install()
    stack = make_stack(settings.async_stack)
    stack.listen()
    made = keys.load_keys(settings)
    client = connect(settings, stack)
    node = new_id()
    runs = Runs(client)
    log = Log(settings, stack, node)
    output = Output(log)
    provider = Provider(settings)
    credentials = Credentials(settings, stack, provider, TokenStore(client, made.fernet))
    catalog = Catalog(settings, executors=("thread",))
    executors = {"thread": ThreadExecutor(settings, stack, log, runs, credentials)}
    console = Console(
        stack=stack,
        catalog=catalog,
        executors=executors,
        runs=runs,
        output=output,
        followers=Followers(stack, log, output, runs),
        node=node,
    )

    app = Flask(__name__)
    app.config.update(SECRET_KEY=made.secret_key, MAX_CONTENT_LENGTH=1_048_576)
    sessions = install_sessions(app, settings, client)
    app.extensions.update(
        settings=settings, stack=stack, console=console, credentials=credentials, provider=provider, on_logout=[]
    )
    headers.register(app)
    views.register(app)
    auth.register(app)
    socketio = SocketIO(
        app,
        async_mode=stack.name,
        manage_session=False,
        cors_allowed_origins=list(settings.origins),
        max_http_buffer_size=1_048_576,
        http_compression=False,
        # A page whose network is half open sees that within these two together.
        ping_interval=PING_SECONDS,
        ping_timeout=PING_SECONDS,
    )
    wsgi: Any = app
    wsgi.wsgi_app = headers.around(app.wsgi_app)
    door = events.Door(app, socketio)
    app.extensions["on_logout"].append(door.end_session)
    app.extensions["shutdown"] = executors["thread"].shutdown
    stack.spawn(door.sweep, sessions.alive, stack.sleep)
    stack.spawn(_keep_lease, stack, runs, node, lambda run_id: executors["thread"].local(run_id) is not None)
    return app


def _keep_lease(stack: Stack, runs: Runs, node: str, has: Callable[[str], bool]) -> None:
    """For ever: prove that this node lives, and record the end of runs whose node gives no such proof."""
    while True:
        try:
            runs.renew(node, LEASE_SECONDS)
            for run in runs.orphans(node, has):
                if runs.finish(run.id, None, Status.LOST, message="The server that ran this has gone."):
                    logger.warning("run %s of job %s is lost: its server has gone", run.id, run.job)
        except RealtimeError as error:
            logger.warning("%s", error)
        except Exception:
            # A node that stops here would be taken for dead, and its runs for lost.
            logger.exception("the node's proof of life failed, and goes on")
        stack.sleep(RENEW_SECONDS)
