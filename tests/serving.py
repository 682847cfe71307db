"""The product's own server as a real process, and people who log in to it through the stand-in, as a browser would."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from tests.processes import processes_of
from tests.socket_client import SocketClient

ROOT = Path(__file__).parents[1]
# Below those that the system gives to whoever asks for any, and above those that no browser visits.
FIRST_PORT, PORTS_EACH, PORT_RANGES = 11_000, 5_000, 4
USERS = re.compile(r'name="user" value="([^"]+)"')


def _ports() -> Iterator[int]:
    """Ports of this process's own: none that the system gives away by itself, nor one of a neighbour of xdist's."""
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PORT_RANGES
    first = FIRST_PORT + own * PORTS_EACH
    # Another place for each process: what an earlier one left behind may still hold some.
    return (first + number % PORTS_EACH for number in itertools.count(os.getpid() * 7))


_PORTS = _ports()


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody else is given before a server does, a while later."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def log_in(url: str, user: int = 0, path: str = "/") -> requests.Session:
    """A browser's session, logged in as one of the stand-in's people."""
    person = requests.Session()
    page = person.get(urljoin(url, path), timeout=20)
    assert page.ok, page.text
    email = USERS.findall(page.text)[user]
    answer = person.post(page.url, data={"user": email, "decision": "allow"}, timeout=20)
    assert answer.ok, answer.text
    assert answer.url.startswith(url), answer.url
    return person


class Page:
    """A socket as the page opens it: keeps what arrives, checks that output has no gap, acknowledges like the page."""

    def __init__(self, url: str, person: requests.Session, *, acknowledge: bool = True) -> None:
        self.acknowledge = acknowledge
        self.texts: dict[str, list[str]] = {}
        self.positions: dict[str, int] = {}
        self.statuses: dict[str, dict[str, Any]] = {}
        # All of them, in the order in which they came.
        self.told: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.queues: dict[str, dict[str, Any]] = {}
        self.gaps: list[dict[str, Any]] = []
        self.storage: list[dict[str, Any]] = []
        self.changed = threading.Condition()
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)
        self.client = SocketClient(url, cookies, self._handle)

    def _handle(self, event: str, message: dict[str, Any]) -> None:
        if event == "output":
            self._output(message)
        elif event == "status":
            self._status(message)
        elif event == "storage":
            with self.changed:
                self.storage.append(message)
                self.changed.notify_all()
        elif event == "queue":
            with self.changed:
                self.queues[message["run"]] = message
                self.changed.notify_all()
        else:
            with self.changed:
                self.errors.append(message)
                self.changed.notify_all()

    def _output(self, message: dict[str, Any]) -> None:
        run = message["run"]
        with self.changed:
            if message["start"] != self.positions.get(run, 0):
                self.gaps.append(message)
            self.positions[run] = message["position"]
            self.texts.setdefault(run, []).append(message["data"])
            self.changed.notify_all()
        if self.acknowledge:
            self.client.emit("ack", {"run": run, "position": message["position"]})

    def _status(self, message: dict[str, Any]) -> None:
        with self.changed:
            self.statuses[message["run"]["id"]] = message["run"]
            self.told.append(message["run"])
            self.changed.notify_all()

    def call(self, event: str, *message: Any) -> Any:
        """Send an event; its acknowledgement."""
        return self.client.call(event, *message)

    def start(self, job: str | None = None, **params: Any) -> str:
        """Start a job; the run's id."""
        message = {"job": job, "params": params, "ack": self.acknowledge} if job else None
        answer = self.call("start_request", *([message] if message else []))
        assert answer["ok"], answer
        run_id: str = answer["run"]["id"]
        return run_id

    def complete(self, job: str = "lines", **params: Any) -> str:
        """Start a job and wait for its end; the run's id."""
        run = self.start(job, **params)
        self.wait_for_end(run)
        return run

    def watch(self, run: str, after: int = 0) -> Any:
        """Watch a run; the acknowledgement."""
        self.positions[run] = after
        return self.call("watch", {"run": run, "after": after, "ack": self.acknowledge})

    def text(self, run: str) -> str:
        """What has come of a run."""
        return "".join(self.texts.get(run, []))

    def wait_for_text(self, run: str, text: str, seconds: float = 20) -> str:
        """Wait until a run's output has `text` in it."""
        with self.changed:
            assert self.changed.wait_for(lambda: text in self.text(run), seconds), self.text(run)[-500:]
        return self.text(run)

    def wait_for_end(self, run: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for the final status; the run's record."""
        with self.changed:
            ended = self.changed.wait_for(lambda: self.statuses.get(run, {}).get("ended") is not None, seconds)
        assert ended, (self.statuses.get(run), self.text(run)[-500:])
        return self.statuses[run]

    def wait_for_storage(self, *, available: bool, seconds: float = 20) -> dict[str, Any]:
        """Wait until the last news of the store is that it is well, or is not; the news."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: self.storage and self.storage[-1]["available"] is available, seconds
            ), self.storage
        return self.storage[-1]

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()


class Server:
    """A running web server; `url` is its address."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url, self.process, self.log = url, process, log

    @property
    def processes(self) -> dict[int, str]:
        """The command lines of all its processes, by process id."""
        return processes_of(self.process.pid)

    @property
    def worker(self) -> int:
        """The process that serves: the youngest of those that gunicorn consists of."""
        return [pid for pid, command in self.processes.items() if "gunicorn" in command][-1]

    def log_in(self, user: int = 0) -> requests.Session:
        """Somebody who is logged in."""
        return log_in(self.url, user)

    def page(self, person: requests.Session, **options: Any) -> Page:
        """That person's open page."""
        return Page(self.url, person, **options)

    def output(self, person: requests.Session, run: str) -> bytes:
        """A run's output as the download has it."""
        answer = person.get(f"{self.url}/runs/{run}/output", timeout=60)
        assert answer.ok, answer.text
        return answer.content

    def kill(self) -> None:
        """End it without a warning, with all its processes: none of them sees the end of another one."""
        processes = list(self.processes)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
        self.process.wait(10)


@contextmanager
def running_server(log: Path, *, seconds: float = 30, **settings: str) -> Iterator[Server]:
    """The product as `python -m app` starts it, with these settings; ended at the end, with nothing left."""
    port = settings.setdefault("PORT", str(free_port()))
    url = f"http://localhost:{port}"
    names = {name: value for name, value in os.environ.items() if name.upper() not in settings}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=ROOT,
            env={**names, **settings},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + seconds
        while not web_answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Server(url, process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


def web_answers(url: str) -> bool:
    """Whether a web server answers there."""
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False
