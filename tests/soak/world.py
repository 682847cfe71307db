"""What the soak torments: two web servers on one store, with a proxy before each and one behind each."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.integration.simulator_fixture import Simulator, running_simulator
from tests.killable import Valkey
from tests.processes import memory_of, processes_of
from tests.proxy import Proxy
from tests.server_fixture import settings_for
from tests.serving import Server, free_port, running_server

END_SECONDS = 10.0
# Small, so that archive and caps have their part in it.
LIMITS = {"HOT_MEGABYTES": "0.5", "RUN_MEGABYTES": "1000", "ARCHIVE_MINUTES": "0.1"}

SURPRISE = re.compile(r" ERROR (app\.\w+: .{0,40}).*\n +Traceback")


class Node:
    """A web server that may die and come back; `harms` counts what its runs need not survive."""

    def __init__(self, name: str, folder: Path, valkey: Valkey, simulator: Simulator) -> None:
        self.name, self.harms, self.ending = name, 0, False
        self.to_store = Proxy(valkey.port)
        self.port = free_port()
        self.front = Proxy(self.port)
        self.url = f"http://localhost:{self.front.port}"
        self.server: Server | None = None
        self._log = folder / f"{name}.log"
        self._settings: dict[str, Any] = settings_for(valkey.socket, simulator, folder / "keys")
        self._settings |= LIMITS
        self._settings |= {
            "REDIS_URL": self.to_store.redis_url,
            "REDIRECT_URI": f"{self.url}/redirect",
            "ARCHIVE_DIR": str(folder / "archive"),
            "PORT": str(self.port),
        }
        self._running: AbstractContextManager[Server] | None = None

    def start(self) -> None:
        """Begin a life."""
        self._running = running_server(self._log, seconds=60, **self._settings)
        self.server = self._running.__enter__()

    def end(self, number: signal.Signals) -> float:
        """Kill it, or ask it to end; the seconds that it took. What is left then is killed, and found fault with."""
        assert self.server is not None
        assert self._running is not None
        session = self.server.process.pid
        self.harms += 1
        self.ending = True
        began = time.monotonic()
        for process in processes_of(session) if number == signal.SIGKILL else [session]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        self.server.process.wait(END_SECONDS)
        left = processes_of(session)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._running.__exit__(None, None, None)
        self.ending = False
        assert not left or number == signal.SIGKILL, f"{self.name} left processes: {left}"
        return time.monotonic() - began

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        assert self.server is not None
        for process in processes_of(self.server.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    @property
    def worker(self) -> int:
        """The process that serves."""
        assert self.server is not None
        return self.server.worker

    def vitals(self) -> tuple[int, int, int]:
        """Megabytes, threads and open files of the process that serves."""
        folder = Path(f"/proc/{self.worker}")
        return (
            memory_of(self.worker) // 1_000_000,
            len(list((folder / "task").iterdir())),
            len(list((folder / "fd").iterdir())),
        )


class World:
    """Everything; `findings` is what went wrong, `note` says what happens."""

    def __init__(self, folder: Path, valkey: Valkey, nodes: list[Node]) -> None:
        self.folder, self.valkey, self.nodes = folder, valkey, nodes
        self.findings: list[str] = []
        self.counts: dict[str, int] = {}
        self.history: list[tuple[float, float, str]] = []
        self.over = threading.Event()
        self.began = time.monotonic()
        self._lock = threading.Lock()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def note(self, text: str) -> None:
        """Say what happens."""
        with self._lock:
            print(f"{self.now:7.1f}  {text}", flush=True)

    def find(self, text: str) -> None:
        """Something is wrong."""
        self.findings.append(text)
        self.note(f"FOUND: {text}")

    def count(self, what: str, more: int = 1) -> None:
        """Add to what the summary tells."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + more


@contextmanager
def running_world() -> Iterator[World]:
    """The product, running; ended at the end, with nothing left."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frt-soak-")))
        (folder / "keys").mkdir()
        simulator = stack.enter_context(running_simulator())
        (folder / "store").mkdir()
        valkey = Valkey(folder / "store")
        stack.callback(valkey.kill, settled=False)
        nodes = [Node(name, folder, valkey, simulator) for name in ("north", "south")]
        for node in nodes:
            node.start()
        world = World(folder, valkey, nodes)
        try:
            yield world
        finally:
            for node in nodes:
                seconds = node.end(signal.SIGTERM)
                if seconds > END_SECONDS:
                    world.find(f"{node.name} took {seconds:.1f} s to end")
            for log in folder.glob("*.log"):
                # A download that the store cuts off is gunicorn's complaint; these are what the product did not expect.
                for surprise in set(SURPRISE.findall(log.read_text(errors="replace"))):
                    world.find(f"{log.name}: {surprise}, with a traceback")
            if world.findings:
                for log in folder.glob("*.log"):
                    lines = [line for line in log.read_text(errors="replace").splitlines() if " INFO " not in line]
                    print(f"--- the end of {log.name}", *lines[-200:], sep="\n")
