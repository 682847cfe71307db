"""What the sandbox's walls are for: the same attempts get out where there are only limits, and nowhere else."""

from __future__ import annotations

import re

import pytest

from tests import unprivileged
from tests.levels import LEVELS, system_calls

# As in test_sandbox_unprivileged.py a server that is nobody, with a secret in a file, a process beside
# it, a store on a Unix socket, and somebody who listens on the machine's network.
PROGRAM = """
import json, os, socket, subprocess, sys, tempfile, threading
from pathlib import Path
from app.config import load_settings
from app.sandbox import Sandbox
from app.sandbox.probe import run
level, source = sys.argv[1:3]
sandbox = Sandbox(load_settings(None, sandbox=level, sandbox_minimum=level, code_disk_megabytes=2))
assert sandbox.level == level, sandbox.report
with tempfile.TemporaryDirectory() as folder:
    key = Path(folder) / "secret_key"
    key.write_text("canary")
    place = str(Path(folder) / "valkey.sock")
    store = socket.socket(socket.AF_UNIX)
    store.bind(place)
    store.listen()
    net = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    net.bind(("127.0.0.1", 0))
    net.settimeout(2)
    neighbour = subprocess.Popen(["sleep", "100"], env={"SECRET": "canary"})
    given = f"neighbour, key, place, port = {neighbour.pid}, {str(key)!r}, {place!r}, {net.getsockname()[1]}\\n"
    room = sandbox.room()
    code, printed = run(room, given + source, 60)
    room.cleanup()
    print(printed)
    print("exit", code)
    try:
        print("heard", net.recv(100))
    except TimeoutError:
        print("heard nothing")
    neighbour.kill()
"""

TRIES = (
    f"CALLS = {system_calls('ptrace', 'process_vm_readv')!r}"
    + """
import ctypes, os, resource, socket
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, what):
    try:
        got = what()
        print("BROKE OUT:", name)
    except Exception as error:
        print("refused:", name, type(error).__name__)
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
def connect(place):
    with socket.socket(socket.AF_UNIX) as store:
        store.connect(place)
def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"from inside", ("127.0.0.1", port))
def environment():
    assert b"canary" in open(f"/proc/{neighbour}/environ", "rb").read()
attempt("key file", lambda: open(key).read())
attempt("environment", environment)
attempt("signal", lambda: os.kill(neighbour, 0))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, neighbour, 1))
attempt("limits", lambda: resource.prlimit(neighbour, resource.RLIMIT_CORE, (0, 0)))
attempt("store", lambda: connect(place))
try:
    # Whether that got anywhere is for the listener to say: behind walls there may be another network.
    send()
except OSError:
    pass
attempt("ptrace", lambda: call(CALLS["ptrace"], 0x4206, neighbour, 0, 0))
"""
)
ATTEMPTS = {"key file", "environment", "signal", "priority", "limits", "store", "ptrace"}
# Inside namespaces the neighbour's number is nobody's, or somebody else's.
_BROKEN = re.compile(r"BROKE OUT: (.+)")


def test_without_walls_each_attempt_gets_out() -> None:
    """At level `limits` all of it works: so the refusals behind walls are the walls' doing."""
    done = unprivileged.run(PROGRAM, "limits", TRIES)
    assert "exit 0" in done.stdout, done.stdout + done.stderr
    assert set(_BROKEN.findall(done.stdout)) == ATTEMPTS, done.stdout
    assert "heard b'from inside'" in done.stdout


@pytest.mark.parametrize("level", LEVELS)
def test_behind_walls_none_does(level: str) -> None:
    """The same attempts, by the same user, end at the walls."""
    done = unprivileged.run(PROGRAM, level, TRIES)
    assert "exit 0" in done.stdout, done.stdout + done.stderr
    assert _BROKEN.findall(done.stdout) == [], done.stdout
    assert "heard nothing" in done.stdout
