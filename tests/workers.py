"""Celery workers as real processes, each in a working folder of its own, and a web server beside them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.simulator_fixture import Simulator
from tests.processes import processes_of
from tests.server_fixture import settings_for
from tests.serving import ROOT, Page, Server, running_server
from tests.waiting import wait_until

JOBS = str(Path(__file__).parent / "celery_jobs")


class Worker:
    """A running worker."""

    def __init__(self, folder: Path, settings: Mapping[str, str], *options: str) -> None:
        self.folder, self.log = folder, folder / "log"
        names = {name: value for name, value in os.environ.items() if name.upper() not in settings}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "worker", *options],
                cwd=folder,
                env={**names, **settings, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until it hears its broker."""
        wait_until(lambda: "ready for" in self.log.read_text() or self.process.poll() is not None, self.log, seconds=60)
        assert self.process.poll() is None, self.log.read_text()

    def kill(self) -> None:
        """End it without a warning, with all its processes: none of them sees the end of another one."""
        processes = list(processes_of(self.process.pid))
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
        self.process.wait(20)

    def close(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


class Site:
    """A web server, somebody's page there, a broker, and what workers are started with."""

    def __init__(self, server: Server, broker: Any, settings: dict[str, str]) -> None:
        self.server, self.broker, self.settings = server, broker, settings
        self.person = server.log_in()
        self.page: Page = server.page(self.person)

    def until(self, run: str, status: str, seconds: float = 40) -> dict[str, Any]:
        """Wait for a status on the page; the run there."""
        wait_until(lambda: self.page.statuses.get(run, {}).get("status") == status, f"{run} {status}", seconds=seconds)
        return self.page.statuses[run]


@pytest.fixture(scope="module")
def site(
    _running_broker: Any, _valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The whole, once for each kind of broker; its workers are the tests' own."""
    folder = tmp_path_factory.mktemp("site")
    settings = settings_for(_valkey_socket, _shared_simulator, folder)
    settings |= {**_running_broker.settings, "JOBS": JOBS, "WORKER_RUNS": "2", "WORKER_GRACE": "0.5"}
    with running_server(folder / "log", **settings) as server:
        site = Site(server, _running_broker, settings)
        yield site
        site.page.close()
        assert site.page.gaps == []


@pytest.fixture
def start_worker(site: Site, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """A function that starts a worker of the site with these options and settings."""
    with ExitStack() as stack:

        def start(*options: str, **settings: str) -> Worker:
            folder = tmp_path / f"worker{len(list(tmp_path.glob('worker*')))}"
            folder.mkdir()
            worker = Worker(folder, {**site.settings, **settings}, *options)
            stack.callback(worker.close)
            worker.wait_ready()
            return worker

        yield start
