"""The Webex stand-in's life as a process: its options, its end, and the door that controls it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading

import pytest
import requests

from tests.integration.simulator_fixture import READY, ROOT, Simulator
from tests.integration.test_simulator import Start, _get


def _cut_off(simulator: Simulator) -> None:
    with pytest.raises(requests.ConnectionError):
        _get(simulator, "/rooms", "x")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_promptly_while_it_answers(start_simulator: Start, number: signal.Signals) -> None:
    """A signal ends the process with code 0, also while a slow request waits and a connection is kept open."""
    simulator = start_simulator()
    with requests.Session() as kept:
        kept.get(simulator.url + "/people/me", timeout=10)
        simulator.fault("/rooms", delay=300)
        thread = threading.Thread(target=_cut_off, args=(simulator,))
        thread.start()
        while not simulator.count("/rooms"):
            pass
        simulator.process.send_signal(number)
        assert simulator.process.wait(timeout=5) == 0
        thread.join(timeout=5)
        assert not thread.is_alive()


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulator", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def test_a_taken_port_is_one_clear_line() -> None:
    """Where the port is taken the process says so in one line, and ends with code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = _run("--port", str(port))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"The Webex stand-in cannot listen on 127.0.0.1:{port}: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--users", "1"),
        ("--spaces", "many"),
        ("--error-rate", "1.5"),
        ("--latency", "nan"),
        ("--token-lifetime", "0"),
        ("--public-url", "localhost:5000"),
        ("--public-url", "http://["),
        ("--internal-url", "ftp://localhost"),
        ("--retry-after", "1\r\nX: y"),
    ],
)
def test_a_wrong_option_is_named(options: tuple[str, str]) -> None:
    """An option that makes no sense ends the process with code 2 and a last line that names it."""
    ended = _run("--port", "0", *options)
    assert ended.returncode == 2
    assert f"argument {options[0]}" in ended.stderr.splitlines()[-1]


def test_the_control_door_is_shut_by_default() -> None:
    """Without --control nobody sees the tokens: the door answers like an unknown path."""
    command = [sys.executable, "-m", "simulator", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix(READY).strip()
        answer = requests.get(url.removesuffix("/v1") + "/_control", timeout=10)
        process.terminate()
        # One line was all that the process had to say.
        assert process.stdout.read() == ""
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("method", "door", "body"),
    [
        ("POST", "/faults", "{"),
        ("POST", "/faults", '{"status": 200}'),
        ("POST", "/faults", '{"retry_after": "1\\r\\nX: y", "status": 429}'),
        ("POST", "/faults", '{"nonsense": 1}'),
        ("PATCH", "/knobs", '{"users": 0}'),
        ("PATCH", "/knobs", "[]"),
        ("POST", "/expire", '{"kind": "all"}'),
        ("POST", "/tokens", '{"user": 2}'),
        ("POST", "/tokens", '{"user": -1}'),
    ],
)
def test_wrong_control_requests_change_nothing(simulator: Simulator, method: str, door: str, body: str) -> None:
    """The control door refuses what it does not understand with a sentence, and leaves everything as it was."""
    control = simulator.url.removesuffix("/v1") + "/_control"
    before = requests.get(control, timeout=10).json()
    answer = requests.request(method, control + door, data=body, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert requests.get(control, timeout=10).json() == before
