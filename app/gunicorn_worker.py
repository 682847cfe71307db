"""gunicorn's workers for both legs of the async stack: they end with open websockets, and end the runs before.

gunicorn 26 dropped its eventlet worker; this one patches nothing: only the sockets that it hands out are green.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import eventlet
import eventlet.hubs
from eventlet.greenio import GreenSocket
from gunicorn.glogging import Logger
from gunicorn.util import write
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.gthread import ThreadWorker

from app import handover, headers, logs

# A client that neither sends nor takes a byte for so long is gone; websockets ping each other more often.
STALLED_SECONDS = 60
# The master kills at its graceful timeout, which is longer than STOP_GRACE: all is done a little before.
MARGIN_SECONDS = 0.5
# What runs wrote last is on its way to the viewers.
LAST_WORDS_SECONDS = 0.2
# Beyond the limit so many are told so at a time, each has so long to say what it wants, and the rest are cut off.
REFUSALS = 100
REFUSAL_SECONDS = 2.0
# Whoever watches the server is answered all the same.
ALWAYS_ANSWERED = ("/healthz", "/readyz")
# What the store, pipes of runs and job files need besides connections.
OTHER_FILES = 500
FULL = b"This server has as many visitors as it can hold. Please try again in a while.\n"
FULL_HEADERS = {
    **headers.HEADERS,
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Length": str(len(FULL)),
    "Content-Security-Policy": headers.BARE_POLICY,
    "Content-Type": "text/plain; charset=utf-8",
    "Retry-After": "5",
}


class TextLog(Logger):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's log as the product's, of which the settings name the format."""

    style = "text"

    def setup(self, cfg: Any) -> None:
        """As the base; what it has set up is replaced."""
        super().setup(cfg)
        logs.configure(self.style)


class JsonLog(TextLog):
    """The same as JSON."""

    style = "json"


def _room(worker: Any) -> int:
    """How many connections there can be: what was asked for, or what the limit of open files allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asked: int = worker.cfg.worker_connections
    room = asked if hard == resource.RLIM_INFINITY else max(10, min(asked, hard - OTHER_FILES - REFUSALS))
    if room < asked:
        text = "MAX_CONNECTIONS is %d, but this process may open %d files only (ulimit -Hn): more than %d connections"
        worker.log.warning(f"{text} are refused", asked, hard, room)
    return room


def _refuse(client: Any) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in FULL_HEADERS.items())
    write(client, f"HTTP/1.1 503 Service Unavailable\r\n{head}\r\n".encode() + FULL)


def _upgrades(request: Any) -> bool:
    return any(name == "UPGRADE" for name, _ in request.headers)


def _cut(client: Any) -> None:
    """Have whoever reads from this socket see its end."""
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _end_runs(worker: Any) -> None:
    # The signal may come before the application is loaded: then there are no runs.
    extensions: dict[str, Any] = getattr(getattr(worker, "wsgi", None), "extensions", {})
    shutdown: Callable[[float], object] | None = extensions.get("shutdown")
    if shutdown is None:
        return
    try:
        shutdown(min(extensions["settings"].stop_grace, worker.cfg.graceful_timeout - MARGIN_SECONDS))
    except Exception:
        worker.log.exception("The runs could not be ended.")


class _Application:
    """The application with its middleware, which may serve websockets."""

    def __init__(self, application: Any, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._answer = handover.outside(application)
        self.extensions = getattr(application, "extensions", {})

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if self._quiet and handover.asked(environ):
            # eventlet writes half a line there whenever a browser has closed a websocket already, which is no news for
            # the log; Flask logs what matters.
            environ["wsgi.errors"] = io.StringIO()
        return self._answer(environ, start_response)


class EventletWorker(AsyncWorker):  # type: ignore[misc] # gunicorn has no types
    """Serves each connection in a greenlet; those beyond `worker_connections` are answered with 503."""

    alive: bool
    wsgi: Any

    def init_process(self) -> None:
        """Start with a hub of this process, not the master's; os.sendfile cannot wait on green sockets."""
        eventlet.hubs.use_hub()
        self.cfg.set("sendfile", False)
        self._most = _room(self)
        self._pool = eventlet.GreenPool(self._most + REFUSALS)
        # Those that came when there were enough.
        self._refused: set[Any] = set()
        # Open connections, and whether each may be cut: it is idle, or a websocket.
        self._cuttable: dict[Any, bool] = {}
        super().init_process()

    def load_wsgi(self) -> None:
        """As the base."""
        super().load_wsgi()
        self.wsgi = _Application(self.wsgi, quiet=True)

    def run(self) -> None:
        """Serve until told to stop, or left alone by the master."""
        acceptors = [eventlet.spawn(self._accept, GreenSocket(each.sock)) for each in self.sockets]
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self._wait_for_signal(1.0)
        self.alive = False
        deadline = time.monotonic() + self.cfg.graceful_timeout - MARGIN_SECONDS
        for acceptor in acceptors:
            acceptor.kill()
        for listener in self.sockets:
            listener.close()
        _end_runs(self)
        eventlet.sleep(LAST_WORDS_SECONDS)
        while self._pool.running() and time.monotonic() < deadline:
            for client, cuttable in list(self._cuttable.items()):
                if cuttable:
                    _cut(client)
            eventlet.sleep(0.05)

    def _wait_for_signal(self, seconds: float) -> None:
        """Python writes a byte into this pipe with each signal."""
        with contextlib.suppress(TimeoutError, BlockingIOError):
            eventlet.hubs.trampoline(self.PIPE[0], read=True, timeout=seconds, timeout_exc=TimeoutError)
            os.read(self.PIPE[0], 4096)

    def _accept(self, listener: Any) -> None:
        while True:
            try:
                client, address = listener.accept()
            except OSError:
                # Out of file descriptors, mostly: those who wait may be served when others have gone.
                self.log.exception("A connection could not be accepted.")
                eventlet.sleep(0.5)
                continue
            if not self._pool.free():
                client.close()
                continue
            self._pool.spawn_n(self._serve, listener, client, address)

    def _serve(self, listener: Any, client: Any, address: Any) -> None:
        full = len(self._cuttable) - len(self._refused) >= self._most
        client.settimeout(STALLED_SECONDS)
        self._cuttable[client] = True
        if full:
            self._refused.add(client)
            hurry = eventlet.spawn_after(REFUSAL_SECONDS, _cut, client)
        try:
            self.handle(listener, client, address)
        finally:
            del self._cuttable[client]
            if full:
                self._refused.discard(client)
                hurry.cancel()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """As the base, noting whether the request ends by itself."""
        if sock in self._refused and req.path not in ALWAYS_ANSWERED:
            _refuse(sock)
            raise StopIteration
        self._cuttable[sock] = _upgrades(req)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            self._cuttable[sock] = True

    def timeout_ctx(self) -> Any:
        """The time that a client has for sending a request's head."""
        return eventlet.Timeout(self.cfg.keepalive, False)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """As SIGTERM: an exit from within a signal handler would hit whichever greenlet is on."""
        self.handle_exit(sig, frame)


class ThreadsWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's own worker with threads, which by itself would wait for websockets until it is killed."""

    def init_process(self) -> None:
        """As the base."""
        self._websockets: set[Any] = set()
        self._ending, self._ended = False, threading.Event()
        # Each holds a thread; without one left nobody would be answered.
        self._most_lasting: int = self.cfg.threads - max(2, self.cfg.threads // 10)
        self.worker_connections = _room(self)
        super().init_process()

    wsgi: Any

    def load_wsgi(self) -> None:
        """As the base; websockets and streams leave threads for others."""
        super().load_wsgi()
        streams = self.wsgi.extensions["streams"]
        self._has_room: Callable[[], bool] = lambda: len(self._websockets) + len(streams) < self._most_lasting
        streams.has_room = self._has_room
        self.wsgi = _Application(self.wsgi)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As the base, and end the runs beside it."""
        if self.alive:
            self._ending = True
            threading.Thread(target=self._end, daemon=True).start()
        super().handle_exit(sig, frame)

    def run(self) -> None:
        """As the base, which waits for connections alone; runs may have none."""
        super().run()
        while self._ending and not self._ended.wait(1.0):
            self.notify()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """As SIGTERM: runs are ended and recorded in each case."""
        self.handle_exit(sig, frame)

    def is_parent_alive(self) -> bool:
        """As the base; without a master the runs end too."""
        alive = bool(super().is_parent_alive())
        if not alive:
            self.handle_exit(signal.SIGTERM, None)
        return alive

    def _end(self) -> None:
        _end_runs(self)
        time.sleep(LAST_WORDS_SECONDS)
        self._ended.set()
        while True:
            for client in list(self._websockets):
                _cut(client)
            time.sleep(0.05)

    def handle(self, conn: Any) -> Any:
        """As the base, with a limit to a client's silence: the sockets block, so the kernel has to end it."""
        limit = struct.pack("ll", STALLED_SECONDS, 0)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """As the base, noting websockets; those beyond the limit are answered with 503."""
        if not _upgrades(req):
            return super().handle_request(req, conn)
        if not self._has_room():
            _refuse(conn.sock)
            return False
        self._websockets.add(conn.sock)
        try:
            return super().handle_request(req, conn)
        finally:
            self._websockets.discard(conn.sock)
