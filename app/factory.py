"""The composition root: puts the parts together for one web process."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from app import (
    api,
    api_channels,
    audit,
    auth,
    broker,
    callers,
    capture,
    channels_page,
    codepage,
    cross_origin,
    events,
    examples,
    handover,
    headers,
    keys,
    logs,
    middleware,
    problems,
    rpc,
    ticker,
    tokens_page,
    views,
    visitors,
)
from app.archiver import Archiver
from app.catalog import Catalog
from app.channel_feed import ChannelFeed
from app.channel_writer import ChannelWriter
from app.channels import Channels
from app.config import Settings
from app.console import Console
from app.credentials import Credentials
from app.dispatch import Dispatcher
from app.executors.base import Executor
from app.executors.celery import CeleryExecutor
from app.executors.process import ProcessExecutor
from app.executors.thread import ThreadExecutor
from app.follow import Followers
from app.grants import Grants
from app.health import Health
from app.lease import Leases
from app.lookup import Lookup
from app.model import Status, new_id
from app.output import Output
from app.provider import Provider
from app.readiness import Readiness
from app.retention import Retention
from app.sockets import Sockets
from app.stack import SWITCH_SECONDS, Stack, make_stack
from app.status import StatusDoor
from app.store.api_tokens import ApiTokens
from app.store.archive import FolderArchive
from app.store.calls import Calls
from app.store.census import Census
from app.store.channels import ChannelStore
from app.store.connection import Breaker, connect
from app.store.ended import EndedRuns
from app.store.log import Log
from app.store.pulse import Pulse
from app.store.runs import Bounds, Runs
from app.store.sessions import install_sessions
from app.store.subscriptions import Subscriptions
from app.store.tokens import TokenStore
from app.streams import Streams
from app.system import System
from app.tasks import Tasks
from app.ticker import Ticker
from app.turns import Turns
from app.typed import Typed
from app.watchdog import Watchdog
from app.wire import Wire, uncompressed

VITAL_SECONDS = 2.0
VITAL_CONNECTIONS = 3
PING_SECONDS = 6
# In a second: where more than six thousand pages may be open, their heartbeats are slower.
MOST_PINGS = 1000
MESSAGE_BYTES = 262_144
# After the runs' end, for telling those who watch them.
LAST_WORDS_SECONDS = 1.0


def create_app(settings: Settings) -> Flask:
    """The Flask application of a web process, with everything that runs beside it in the hub.

    `app.extensions["shutdown"]` ends the process's runs: call it in the hub with the seconds it may take.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    capture.install()
    stack = make_stack(settings.async_stack)
    stack.listen()
    made = keys.load_keys(settings)
    breaker = Breaker(settings.redis_timeout)
    client = connect(settings, stack, breaker=breaker)
    # On connections of their own: proofs of life wait for nobody.
    vital = connect(settings, stack, timeout=min(VITAL_SECONDS, settings.redis_timeout), connections=VITAL_CONNECTIONS)
    node = new_id()
    logs.always(node=node)
    runs = Runs(client)
    log = Log(settings, stack, node)
    archive = FolderArchive(settings.archive_folder)
    archiver = Archiver(settings, stack, log, archive)
    health = Health(stack, Pulse(vital, node, breaker).beat)
    output = Output(settings, stack, log, archive)
    provider = Provider(settings)
    credentials = Credentials(settings, stack, provider, TokenStore(client, made.fernet))
    writer, channels = _channels(settings, stack, client)
    threads = ThreadExecutor(settings, stack, log, runs, credentials=credentials, archiver=archiver, channels=writer)
    executors = {"thread": threads, **_others(settings, stack, runs)}
    catalog = Catalog(settings, executors=executors, lacking={"celery": broker.missing(settings)})
    typed = Typed(settings, runs)
    dispatcher = Dispatcher(stack, runs, threads, node=node, most=settings.node_runs)
    followers = Followers(
        stack,
        log,
        output,
        runs,
        is_local=lambda run_id: threads.local(run_id) is not None,
        message_bytes=min(MESSAGE_BYTES, settings.window_bytes // 2),
    )
    log.on_append(followers.heard)
    runs.on_change(followers.stir)
    turns = Turns(stack, runs, functools.partial(_trouble, executors))
    console = Console(
        stack=stack,
        catalog=catalog,
        executors=executors,
        dispatcher=dispatcher,
        turns=turns,
        bounds=Bounds(settings.user_starts, settings.user_queued, settings.queue_runs),
        user_runs=settings.user_runs,
        runs=runs,
        calls=Calls(client),
        typed=typed,
        output=output,
        lookup=Lookup(stack, output, settings.search_seconds),
        followers=followers,
        health=health,
        node=node,
    )

    app = Flask(__name__)
    app.config.update(SECRET_KEY=made.secret_key, MAX_CONTENT_LENGTH=1_048_576)
    sessions = install_sessions(app, settings, client)
    watchdog = Watchdog(settings.watchdog_seconds)
    readiness = Readiness(watchdog.trouble, lambda: "" if health.storage.available else health.storage.reason)
    streams = Streams(stack, settings.user_sockets)
    app.extensions.update(
        settings=settings,
        grants=Grants(ApiTokens(client)),
        streams=streams,
        stack=stack,
        console=console,
        channels=channels,
        health=health,
        credentials=credentials,
        provider=provider,
        readiness=readiness,
        tasks=Tasks(settings, console, turns, runs.takers),
        typed=typed,
        on_logout=[],
    )
    pages = (headers, cross_origin, views, codepage, auth, tokens_page, channels_page, examples, ticker)
    for door in (*pages, api, api_channels, problems, rpc):
        door.register(app)
    sockets, status = _sockets(app, settings, stack, System(Census(client), health, node))
    _surround(app, settings, stack)
    app.extensions["on_logout"] += [sockets.end_session, lambda session: streams.end({f"session:{session}"})]
    app.extensions["shutdown"] = readiness.before_stop(
        functools.partial(
            _end_runs,
            console=console,
            dispatcher=dispatcher,
            followers=followers,
            streams=streams,
            status=status,
        )
    )
    watchdog.watch(stack)
    retention = Retention(
        settings, stack, runs=runs, ended=EndedRuns(client), archive=archive, archiver=archiver, node=node
    )
    for work in (
        retention.keep,
        status.push,
        functools.partial(sockets.sweep, sessions.alive, stack.sleep),
        functools.partial(streams.sweep, callers.liveness(app)),
        functools.partial(audit.tell_repetitions, stack.sleep),
    ):
        stack.spawn(work)
    Leases(stack, Runs(vital), dispatcher).keep()
    health.keep(writers=lambda: threads.trouble, archive=lambda: archiver.trouble)
    return app


def _surround(app: Any, settings: Settings, stack: Stack) -> None:
    """What comes before Flask and Socket.IO, from the inside out."""
    app.wsgi_app = visitors.around(headers.around(handover.inside(app.wsgi_app)), settings.origins)
    if settings.compression == "off":
        app.wsgi_app = uncompressed(app.wsgi_app)
    if settings.wsgi_middleware:
        forgotten = middleware.Forgotten()
        stack.spawn(forgotten.sweep, stack.sleep)
        # What a middleware answers by itself is under a policy, too.
        app.wsgi_app = headers.around(middleware.around(forgotten.around(app.wsgi_app), settings.wsgi_middleware))


def _others(settings: Settings, stack: Stack, runs: Runs) -> dict[str, Executor]:
    """The executors whose runs happen elsewhere."""
    found: dict[str, Executor] = {"process": ProcessExecutor()}
    if not broker.missing(settings):
        celery = CeleryExecutor(settings, stack, runs)
        celery.keep()
        found[celery.name] = celery
    return found


def _channels(settings: Settings, stack: Stack, client: Any) -> tuple[ChannelWriter, Channels]:
    """How jobs set channels, and what doors do with them."""
    store = ChannelStore(settings, stack, client)
    return ChannelWriter(stack, store), Channels(store, Subscriptions(client), ChannelFeed(stack, store))


def _trouble(executors: Mapping[str, Executor], queue: str) -> str:
    """Why nobody elsewhere hears of what waits in a queue; "" where they do."""
    executor = executors.get(queue.partition(":")[0])
    return (executor.trouble or "") if executor and executor.begins is Status.QUEUED else ""


def _sockets(app: Flask, settings: Settings, stack: Stack, system: System) -> tuple[Sockets, StatusDoor]:
    """The doors of Socket.IO, a namespace each."""
    socketio = _socketio(app, settings, stack)
    sockets, wire = Sockets(app, socketio), Wire(socketio.server, stack.spawn)
    app.extensions["sockets"] = events.Door(app, socketio, sockets, wire)
    Ticker(socketio, sockets, stack, wire)
    status = StatusDoor(socketio, sockets, stack, wire, system)
    app.extensions["health"].listen(status.hear)
    return sockets, status


def _socketio(app: Flask, settings: Settings, stack: Stack) -> SocketIO:
    heartbeat = max(PING_SECONDS, settings.max_connections // MOST_PINGS)
    socketio = SocketIO(
        app,
        async_mode=stack.name,
        manage_session=False,
        cors_allowed_origins=list(settings.origins),
        max_http_buffer_size=1_048_576,
        http_compression=False,
        # A page whose network is half open sees that within these two together.
        ping_interval=heartbeat,
        ping_timeout=heartbeat,
    )
    handover.install(socketio.server.eio)
    return socketio


def _end_runs(
    seconds: float,
    *,
    console: Console,
    dispatcher: Dispatcher,
    followers: Followers,
    streams: Streams,
    status: StatusDoor,
) -> None:
    console.close()
    watched = followers.watched_here()
    dispatcher.shutdown(seconds)
    status.close()
    deadline = time.monotonic() + LAST_WORDS_SECONDS
    followers.wait_until_told(watched, deadline)
    streams.close(deadline)
