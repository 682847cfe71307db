"""`python -m app`: one command starts everything, and whatever happens nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.processes import processes_of
from tests.serving import Server, free_port, running_server
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
CHILDREN = {"web server": "gunicorn", "Webex stand-in": "simulator", "embedded Valkey": "valkey-server"}


@contextmanager
def _embedded(folder: Path, **settings: str) -> Iterator[Server]:
    """The product with its own store and stand-in, and its data in `folder`."""
    values: dict[str, Any] = {"DATA_DIR": str(folder / "data"), "KEY_DIR": str(folder / "keys"), **settings}
    with running_server(folder / "log", **values) as server:
        yield server


def _pid(server: Server, part: str) -> int:
    return next(pid for pid, command in processes_of(server.process.pid).items() if part in command)


def _wait_for_none(session: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while left := processes_of(session):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _refused(folder: Path, *, root: Path = ROOT, **settings: str) -> str:
    """The one line with which `python -m app` refuses to start; it leaves no process."""
    environment = {"PORT": str(free_port()), "DATA_DIR": str(folder / "data"), "KEY_DIR": str(folder / "keys")}
    with subprocess.Popen(
        [sys.executable, "-m", "app"],
        cwd=root,
        env={**os.environ, **environment, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        out, error = process.communicate(timeout=30)
    assert process.returncode == 2
    assert out == ""
    assert error.count("\n") == 1, error
    _wait_for_none(process.pid, 5)
    return error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_start_finds_the_history(tmp_path: Path, number: signal.Signals) -> None:
    """Log in, run a job, end everything in order by a signal, start again: the run and its output are there."""
    with _embedded(tmp_path) as server:
        person = server.log_in()
        page = server.page(person)
        run = page.start("count", steps=3, pause=0)
        assert page.wait_for_end(run)["status"] == "succeeded"
        output = server.output(person, run)
        began = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 8
        assert processes_of(server.process.pid) == {}
    assert "Traceback" not in server.log.read_text()
    with _embedded(tmp_path) as server:
        person = server.log_in()
        assert output
        assert server.output(person, run) == output
        assert f"/runs/{run}" in person.get(server.url, timeout=10).text


def test_the_start_says_where_and_how(tmp_path: Path) -> None:
    """The address, the way to log in and the way to stop stand in one block; nothing else is printed."""
    with _embedded(tmp_path) as server:
        # The block comes when all parts are ready, the web server may be sooner.
        wait_until(lambda: "Ctrl-C" in server.log.read_text(), server.log)
        said = server.log.read_text()
    assert f"Open     {server.url}/\n" in said
    assert "stand-in" in said
    assert "Ctrl-C" in said
    assert "isolated at level `" in said
    # A machine that is busy may have held it up.
    assert len([line for line in said.strip().splitlines() if "stood still" not in line]) == 7


def test_the_embedded_store_is_private(tmp_path: Path) -> None:
    """No TCP port, a socket and files for their owner alone, no limit that drops data."""
    with _embedded(tmp_path) as server:
        pid = _pid(server, "valkey-server")
        sockets = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
        table = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        listening = {f"socket:[{line.split()[9]}]" for line in table.splitlines() if " 0A " in line}
        assert not sockets & listening
        data = tmp_path / "data"
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "valkey.sock").stat().st_mode) == 0o700
        files = [path for path in (data / "appendonlydir").iterdir() if path.is_file()]
        assert files
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(data / "valkey.sock"))
            asking.sendall(b"CONFIG GET maxmemory-policy\r\n")
            assert b"noeviction" in asking.recv(1000)


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    """A Unix socket's path is short; the folder of the data may be deep."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with _embedded(tmp_path, DATA_DIR=str(deep)) as server:
        server.log_in()
        command = processes_of(server.process.pid)[_pid(server, "valkey-server")]
    # Valkey shows its socket as its command line.
    used = Path(command.partition("unixsocket:")[2].split()[0])
    assert (deep / "appendonlydir").is_dir()
    assert len(os.fsencode(used)) < 108
    assert not used.parent.exists()


@pytest.mark.parametrize("name", CHILDREN)
def test_the_death_of_a_part_ends_everything_with_a_line(tmp_path: Path, name: str) -> None:
    """A part that is killed takes the others with it, in order, and the line names it."""
    with _embedded(tmp_path) as server:
        os.kill(_pid(server, CHILDREN[name]), signal.SIGKILL)
        assert server.process.wait(15) == 1
        assert processes_of(server.process.pid) == {}
    said = server.log.read_text()
    assert f"The {name} has ended by itself (signal 9). Everything has been stopped." in said
    assert "Traceback" not in said.partition("Flask-Realtime is ready")[0]


def test_a_killed_launcher_leaves_nothing_for_ever(tmp_path: Path) -> None:
    """After kill -9 its children end by themselves, and the data is free for the next start."""
    with _embedded(tmp_path) as server:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(5)
        _wait_for_none(server.process.pid)
    with _embedded(tmp_path) as again:
        again.log_in()


@pytest.mark.parametrize("seconds", [0.05, 0.4, 0.8, 1.2, 1.6])
def test_ctrl_c_while_starting_leaves_nothing(tmp_path: Path, seconds: float) -> None:
    """Whenever it comes, the end is quiet and complete."""
    environment = {"PORT": str(free_port()), "DATA_DIR": str(tmp_path / "data"), "KEY_DIR": str(tmp_path / "keys")}
    with subprocess.Popen(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=15)
    assert process.returncode in (0, -signal.SIGINT)
    # Before our first line Python itself may be interrupted, on a machine that is busy; none of our code may.
    ours = set(re.findall(r"/(app/\w+\.py)\", line", said))
    assert ours <= {"app/__main__.py"}, said
    _wait_for_none(process.pid)


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    """The second names the folder; the first goes on."""
    with _embedded(tmp_path) as server:
        assert "DATA_DIR: " in (line := _refused(tmp_path))
        assert "is in use: Flask-Realtime is running here already" in line
        server.log_in()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Somebody else's port ends the start before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert _refused(tmp_path, PORT=port).startswith(
            f"PORT: cannot listen on 127.0.0.1 port {port}: Address already"
        )


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    """Nobody can listen on it."""
    assert _refused(tmp_path, HOST="192.0.2.1").startswith("HOST: 192.0.2.1 is no address of this machine")


@pytest.mark.parametrize("setting", ["DATA_DIR", "KEY_DIR"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, setting: str) -> None:
    """As on a read-only disk: /proc takes no files from anybody."""
    values: dict[str, Any] = {setting: "/proc/self/here"}
    assert _refused(tmp_path, **values).startswith(f"{setting}: ")


def test_missing_libraries_of_the_page_are_named(tmp_path: Path) -> None:
    """Without vendor/ the pages would be dead: the line says how to get it."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    assert "make setup" in _refused(tmp_path, root=tmp_path)


def test_the_launcher_complains_in_the_log_s_format(tmp_path: Path) -> None:
    """Where the log is JSON, the line that says why nothing is started is a record too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = json.loads(_refused(tmp_path, LOG_FORMAT="json", PORT=str(taken.getsockname()[1])))
    assert (said["level"], said["logger"]) == ("CRITICAL", "app.launcher")
    assert said["message"].startswith("PORT: cannot listen")
