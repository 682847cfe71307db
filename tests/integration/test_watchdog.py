"""The watchdog and readiness: a hub that is really blocked, a store that is away, a server that stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.simulator_fixture import Simulator
from tests.killable import Valkey
from tests.processes import processes_of
from tests.server_fixture import settings_for
from tests.serving import ROOT, Server, free_port, running_server, web_answers
from tests.waiting import wait_until

LEGS = ["eventlet", "threading"]
# The product with one more address, at which a view does what no hub code may: it really sleeps.
BLOCKABLE = """
import time
from app.wsgi import app
from app import rights
rights.DOORS["http:block"] = rights.Action.PUBLIC
@app.get("/block/<float:seconds>", endpoint="block")
def block_everybody(seconds):
    time.sleep(seconds)
    return "slept"
"""


@contextmanager
def _blockable(folder: Path, settings: dict[str, Any], stack: str) -> Iterator[Server]:
    """The web server as the launcher starts it, of that module."""
    (folder / "blockable.py").write_text(BLOCKABLE)
    port = free_port()
    values = {
        **settings,
        "ASYNC_STACK": stack,
        "PORT": str(port),
        "LOG_FORMAT": "json",
        "WATCHDOG_SECONDS": "1",
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
    }
    worker = {"eventlet": "EventletWorker", "threading": "ThreadsWorker"}[stack]
    command = [sys.executable, "-W", "ignore::Warning:app.gunicorn_worker", "-m", "gunicorn"]
    command += [f"--worker-class=app.gunicorn_worker.{worker}"]
    command += ["--logger-class=app.gunicorn_worker.JsonLog", "--log-level=warning", "--threads=20"]
    command += ["--graceful-timeout=3", f"--bind=127.0.0.1:{port}", "--no-control-socket", "blockable:app"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **values}, stdout=output, stderr=output, start_new_session=True
        )
    server = Server(f"http://localhost:{port}", process, log)
    try:
        wait_until(lambda: web_answers(server.url), log)
        yield server
    finally:
        process.terminate()
        process.wait(15)


def _records(log: Path) -> list[dict[str, Any]]:
    """What the watchdog says; each line of the log must be one object."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return [record for record in found if record["logger"] == "app.watchdog"]


def _of_the_hub(log: Path) -> list[dict[str, Any]]:
    return [record for record in _records(log) if "hub" in record["message"]]


def _ready(url: str) -> tuple[int, list[str]]:
    answer = requests.get(f"{url}/readyz", timeout=10)
    body = answer.json()
    assert (answer.status_code == 200) == (body["status"] == "ready") == (body["reasons"] == [])
    assert answer.status_code == 200 or answer.headers["Retry-After"].isdigit()
    return answer.status_code, body["reasons"]


@pytest.fixture
def settings(_valkey_socket: Path, _shared_simulator: Simulator, tmp_path: Path) -> dict[str, Any]:
    """A server's settings."""
    return settings_for(_valkey_socket, _shared_simulator, tmp_path)


def test_a_blocked_hub_is_shown_with_its_place(tmp_path: Path, settings: dict[str, Any]) -> None:
    """A view that really sleeps: a record with the line that holds all up, another with the length; unready a while."""
    with _blockable(tmp_path, settings, "eventlet") as server:
        wait_until(lambda: _ready(server.url) == (200, []), server.log)
        for _ in range(5):
            before, said = len(_of_the_hub(server.log)), len(_records(server.log))
            assert requests.get(f"{server.url}/block/4.0", timeout=20).text == "slept"
            assert _ready(server.url) == (503, ["the server was held up"])
            assert web_answers(server.url)
            time.sleep(0.5)
            # Where the whole process stood still meanwhile, the hub is excused, and its time begins anew.
            if not any("stood still" in record["message"] for record in _records(server.log)[said:]):
                break
        wait_until(lambda: len(_of_the_hub(server.log)) >= before + 2, server.log)
        shown, over = _of_the_hub(server.log)[before : before + 2]
        assert shown["level"] == "ERROR"
        assert "block_everybody" in shown["traceback"]
        assert "time.sleep(seconds)" in shown["traceback"]
        assert 1 <= shown["seconds"] < 4 <= over["seconds"]
        assert requests.get(f"{server.url}/block/6.0", timeout=20).text == "slept"
        wait_until(lambda: len(_of_the_hub(server.log)) >= before + 4, server.log)
        wait_until(lambda: _ready(server.url) == (200, []), server.log)


def test_threads_block_nobody(tmp_path: Path, settings: dict[str, Any]) -> None:
    """With threads the same view holds up nobody else: the watchdog is quiet and the server ready."""
    with _blockable(tmp_path, settings, "threading") as server:
        assert requests.get(f"{server.url}/block/2.5", timeout=20).text == "slept"
        assert _of_the_hub(server.log) == []
        wait_until(lambda: _ready(server.url) == (200, []), server.log)


@pytest.mark.parametrize("stack", LEGS)
def test_a_process_that_stood_still_accuses_nobody(tmp_path: Path, settings: dict[str, Any], stack: str) -> None:
    """A suspended process says afterwards how long it stood still, and shows no innocent line as the reason."""
    with _blockable(tmp_path, settings, stack) as server:
        worker = list(processes_of(server.process.pid))[-1]
        # As it starts it may be held up by itself.
        wait_until(lambda: _ready(server.url) == (200, []), server.log)
        before, said = len(_of_the_hub(server.log)), len(_records(server.log))
        os.kill(worker, signal.SIGSTOP)
        time.sleep(2.5)
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: any("stood still" in each["message"] for each in _records(server.log)[said:]), server.log)
        assert _of_the_hub(server.log)[before:] == []
        assert _ready(server.url)[0] == 503


def test_a_store_that_is_away_makes_unready(valkey: Valkey, simulator: Simulator, tmp_path: Path) -> None:
    """Without its store the server is alive and not ready; with it again it is ready by itself."""
    with running_server(tmp_path / "log", **settings_for(valkey.socket, simulator, tmp_path)) as server:
        wait_until(lambda: _ready(server.url)[0] == 200, server.log)
        valkey.kill()
        wait_until(lambda: _ready(server.url)[0] == 503, server.log)
        assert "storage" in _ready(server.url)[1][0]
        assert web_answers(server.url)
        valkey.start()
        wait_until(lambda: _ready(server.url)[0] == 200, server.log)


def test_a_server_that_stops_is_unready(start_server: Callable[..., Server]) -> None:
    """While runs have their time to end, a connection that is still open is told so."""
    server = start_server(STOP_GRACE="10")
    page = server.page(server.log_in())
    run = page.start("stubborn", seconds=20)
    page.wait_for_text(run, "sleeping")
    # An answer that is on its way just then may be a good one, after which its connection ends.
    watchers = [requests.Session() for _ in range(3)]
    for watcher in watchers:
        assert watcher.get(f"{server.url}/readyz", timeout=10).status_code == 200
    server.process.send_signal(signal.SIGTERM)
    found: requests.Response | None = None
    while watchers and found is None:
        try:
            answer = watchers[0].get(f"{server.url}/readyz", timeout=10)
        except requests.ConnectionError:
            watchers.pop(0).close()
            continue
        found = answer if answer.status_code == 503 else None
        time.sleep(0.01)
    assert found is not None
    assert "the server is stopping" in found.json()["reasons"]
    for watcher in watchers:
        watcher.close()
