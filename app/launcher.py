"""Everything by one command: the embedded store, the login's stand-in and the web server, and their common end."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import requests

from app import logs
from app.children import Child, ChildFailed
from app.config import Settings, child_environment
from app.embedded import EmbeddedStore
from app.errors import ConfigError
from app.keys import load_keys

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
# A store may have much to load.
STORE_SECONDS = 300.0
WATCH_SECONDS = 0.2
# The web server's time for viewers and connections, after that for runs.
AFTER_RUNS_SECONDS = 5
RUNNER = "runner"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
RUNNER_PAUSE_SECONDS = 0.5
LEVEL_BYTES = 20
STOP_SECONDS = {"Webex stand-in": 1.0, "embedded Valkey": 2.5}
STAND_IN_READY = b"Webex stand-in ready at "
WORKERS = {"eventlet": "EventletWorker", "threading": "ThreadsWorker"}
LOGS = {"text": "TextLog", "json": "JsonLog"}


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


class Launcher:
    """Starts what the settings ask for, watches it, and ends it in the reverse order."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children: list[Child] = []
        # Who comes to this machine by itself may do there what they like; others only where CODE_USERS says so.
        alone = settings.environment == "development" and settings.host in LOOPBACK and not settings.code_users
        self._changes: dict[str, str] = {"code_users": "*"} if alone else {}
        self._stopping = False
        self._sandbox = ""

    def run(self) -> None:
        """Run until told to stop.

        Raises: ConfigError before anything is started; ChildFailed.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        _check_vendor()
        with contextlib.ExitStack() as stack:
            store = None if self._settings.redis_url else EmbeddedStore(self._settings)
            if store is not None:
                stack.callback(store.close)
            load_keys(self._settings)
            _check_port(self._settings)
            stack.callback(self._stop)
            with contextlib.suppress(StopRequested):
                if store is not None:
                    self._start_store(store)
                if not (self._settings.client_id or self._settings.stand_in_url):
                    self._start_stand_in()
                self._start_web_and_runner()
                self._show()
                while True:
                    self._pause(WATCH_SECONDS)
                    self._watch()

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _pause(self, seconds: float) -> None:
        if not self._stopping:
            time.sleep(seconds)
        if self._stopping:
            raise StopRequested

    def _stop(self) -> None:
        if self._stopping:
            _say("\nStopping ...")
        for child in reversed(self._children):
            child.stop(STOP_SECONDS.get(child.name) or _graceful_seconds(self._settings) + 1.5)
        if self._stopping:
            _say("Stopped.")

    def _start_store(self, store: EmbeddedStore) -> None:
        child = store.start()
        self._children.append(child)
        child.wait_ready(store.ready, STORE_SECONDS, self._pause)
        self._changes["redis_url"] = store.url

    def _start_stand_in(self) -> None:
        listen, visitors = self._settings.host, urlsplit(self._settings.redirect_uri).hostname or "localhost"
        command = [sys.executable, "-m", "simulator", "--host", listen, "--port", "0"]
        # Enough to see lines come, and to press Stop before the end.
        command += ["--spaces", "150", "--latency", "0.7"]
        # With the keys, since these are tokens: a login and its history go on at the next start.
        command += ["--state", str(self._settings.key_dir / "stand-in.json")]
        child = Child("Webex stand-in", command, stdout=subprocess.PIPE)
        self._children.append(child)
        os.set_blocking(child.output.fileno(), False)
        said = bytearray()

        def ready() -> bool:
            said.extend(child.output.read() or b"")
            return said.endswith(b"\n")

        child.wait_ready(ready, START_SECONDS, self._pause)
        url = said.decode().strip().removeprefix(STAND_IN_READY.decode())
        port = urlsplit(url).port
        self._changes.update(
            stand_in_url=f"http://{_address(_reachable(listen), port)}/v1",
            stand_in_public_url=f"http://{_address(visitors, port)}/v1",
        )

    def _watch(self) -> None:
        for child in self._children:
            if child.name == RUNNER and child.process.poll() is not None:
                # All others can go on without it, for as long as the next one needs to start.
                logger.warning("the runner has ended by itself; it is started again")
                self._children.remove(child)
                self._pause(RUNNER_PAUSE_SECONDS)
                os.close(self._start_runner())
                break
            child.check()

    def _start_runner(self) -> int:
        """Start it; answers a descriptor that ends when it is ready."""
        reader, writer = os.pipe()
        command = [sys.executable, "-m", "app", "runner", "--ready", str(writer)]
        # Who presses Ctrl-C does not wait for runs: these are stopped.
        environment = child_environment(**self._changes, runner_grace="0")
        try:
            self._children.append(Child(RUNNER, command, environment=environment, pass_fds=[writer]))
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return reader

    def _start_web_and_runner(self) -> None:
        # Both at a time: each of them takes most of a second.
        environment = _web_environment(**self._changes)
        child = Child("web server", _web_command(self._settings), environment=environment)
        self._children.append(child)
        reader = self._start_runner()
        try:
            self._wait_for_web(child)
            runner = self._children[-1]
            runner.wait_ready(lambda: bool(select.select([reader], [], [], 0)[0]), START_SECONDS, self._pause)
            runner.check()
            self._sandbox = os.read(reader, LEVEL_BYTES).decode()
        finally:
            os.close(reader)

    def _wait_for_web(self, child: Child) -> None:
        settings = self._settings
        url = f"http://{_address(_reachable(settings.host), settings.port)}/healthz"

        def ready() -> bool:
            try:
                return requests.get(url, timeout=1, proxies={"http": ""}).ok
            except requests.RequestException:
                return False

        child.wait_ready(ready, START_SECONDS, self._pause)

    def _show(self) -> None:
        settings = self._settings
        login = settings.provider_name if settings.client_id else "a local stand-in for Webex, which asks who to be"
        store = "REDIS_URL" if settings.redis_url else f"{settings.data_dir}/ (embedded Valkey)"
        address = settings.redirect_uri.removesuffix("redirect")
        _say(f"\n  Flask-Realtime is ready.\n\n    Open     {address}\n    Login    {login}\n    Data     {store}")
        _say(f"    Code     typed in the browser, it is isolated at level `{self._sandbox}`\n    Stop     Ctrl-C\n")


def launch(settings: Settings) -> int:
    """Run everything; returns the exit code: 0 after Ctrl-C or SIGTERM, 2 for a wrong setting, 1 for a dead child."""
    try:
        Launcher(settings).run()
    except ConfigError as error:
        _complain(settings, str(error))
        return 2
    except ChildFailed as error:
        _complain(settings, f"{error} Everything has been stopped.")
        return 1
    return 0


def _complain(settings: Settings, text: str) -> None:
    """One line on stderr: a record where programs read the log, else the bare sentence."""
    if settings.log_format == "json":
        logs.configure("json")
        logger.critical("%s", text)
    else:
        sys.stderr.write(f"{text}\n")


def serve(settings: Settings) -> NoReturn:
    """Become the web server, without anything beside it.

    Raises: ConfigError.
    """
    _check_vendor()
    command = _web_command(settings)
    os.execve(command[0], command, _web_environment())  # noqa: S606 - this very Python


def _web_environment(**changes: str) -> dict[str, str]:
    # glibc keeps what each of many threads has freed for that one: with its own choice a third more memory is taken.
    return {"MALLOC_ARENA_MAX": "2", **child_environment(**changes)}


def _graceful_seconds(settings: Settings) -> int:
    return settings.stop_grace + AFTER_RUNS_SECONDS


def _web_command(settings: Settings) -> list[str]:
    options = {
        "worker-class": f"app.gunicorn_worker.{WORKERS[settings.async_stack]}",
        "logger-class": f"app.gunicorn_worker.{LOGS[settings.log_format]}",
        "workers": "1",
        "threads": str(settings.threads),
        "worker-connections": str(settings.max_connections),
        "bind": _address(settings.host, settings.port),
        "graceful-timeout": str(_graceful_seconds(settings)),
        "keep-alive": "20",
        "timeout": "120",
        # A stream names its channels; nginx takes as much.
        "limit-request-line": "8190",
        # Nobody in front of this server is trusted with headers about the visitor.
        "forwarded-allow-ips": "",
        "log-level": "warning",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    # eventlet's advice to choose another library is for us, not for those who start the server.
    quiet = "ignore::Warning:app.gunicorn_worker"
    return [sys.executable, "-W", quiet, "-m", "gunicorn", *arguments, "--no-control-socket", "app.wsgi:app"]


def _check_vendor() -> None:
    if not (ROOT / "vendor" / "manifest.json").is_file():
        raise ConfigError("vendor/: the page's libraries are missing: run `make setup`, which fetches them by npm")


def _check_port(settings: Settings) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except socket.gaierror as error:
        raise ConfigError(f"HOST: {settings.host} is no address of this machine: {error.strerror}") from None
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        if error.errno == errno.EADDRNOTAVAIL:
            raise ConfigError(f"HOST: {settings.host} is no address of this machine") from None
        raise ConfigError(f"PORT: cannot listen on {where}: {error.strerror}; set PORT to another one") from None


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - looked for, not listened on


def _address(host: str, port: int | None) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _say(text: str) -> None:
    # A terminal that was closed, or a pipe that ended, is no reason to leave children behind.
    with contextlib.suppress(OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
