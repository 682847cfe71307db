"""Trying a level: code in a room that does what it may not, and tells what it could."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from app.sandbox.levels import Level
from app.sandbox.room import Room

SECONDS = 20
_MARK = "probe:"
# The descriptor may be another one here, where its number is taken.
_STARTER = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
# What is tried, where `file`, `unix`, `port` and `process` are the server's own.
_CODE = """
import ctypes, json, os, socket
found = {}
def tries(name, what):
    try:
        what()
        found[name] = True
    except Exception:
        found[name] = False
def connect(kind, place):
    with socket.socket(kind) as tried:
        tried.settimeout(2)
        tried.connect(place)
tries("read a file", lambda: open(given["file"]).read())
tries("write a file", lambda: open(given["file"], "a"))
tries("read an environment", lambda: open(f"/proc/{given['process']}/environ", "rb").read())
tries("signal a process", lambda: os.kill(given["process"], 0))
tries("reach a Unix socket", lambda: connect(socket.AF_UNIX, given["unix"]))
tries("use the network", lambda: connect(socket.AF_INET, ("127.0.0.1", given["port"])))
tries("write in its folder", lambda: open("own", "w").write("own"))
libc = ctypes.CDLL(None)
found["filter"] = libc.prctl(21, 0, 0, 0, 0) == 2
found["no new privileges"] = libc.prctl(39, 0, 0, 0, 0) == 1
print("probe:" + json.dumps(found))
"""


def why_not(room: Room, level: Level, *, network: bool) -> str:
    """Why this room does not keep what its level promises; empty where it does."""
    with (
        tempfile.TemporaryDirectory(prefix="probe-") as place,
        socket.socket(socket.AF_UNIX) as unix,
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        os.chmod(place, 0o755)  # noqa: S103 - the walls, not its rights, have to keep others out
        file = Path(place, "file")
        file.write_text("canary", encoding="ascii")
        file.chmod(0o666)
        unix.bind(str(Path(place, "unix")))
        os.chmod(Path(place, "unix"), 0o777)  # noqa: S103 - as above
        unix.listen(1)
        given = {"file": str(file), "unix": str(Path(place, "unix")), "port": tcp.getsockname()[1]}
        try:
            code, printed = run(room, f"given = { ({**given, 'process': os.getpid()})!r}\n{_CODE}")
        except (OSError, subprocess.SubprocessError) as error:
            return f"a process there cannot be started ({type(error).__name__})"
    answer = next((line for line in printed.splitlines() if line.startswith(_MARK)), "")
    if code or not answer:
        return f"a process there fails with exit code {code}: {' '.join(printed.split())[-200:]}"
    return _wrong(json.loads(answer.removeprefix(_MARK)), level, network=network)


def _wrong(found: dict[str, Any], level: Level, *, network: bool) -> str:
    wanted = {"write in its folder": True, "no new privileges": True}
    if level in (Level.LANDLOCK, Level.FULL):
        names = ("read a file", "write a file", "read an environment", "signal a process", "reach a Unix socket")
        wanted |= {**dict.fromkeys(names, False), "filter": True, "use the network": network}
    wrong = [
        f"{name}: {'yes' if found.get(name) else 'no'}" for name, value in wanted.items() if found.get(name) != value
    ]
    return ", ".join(wrong)


def start_command(room: Room, control: int) -> list[str]:
    """The command that starts a room's process, with the descriptor `control` in its place."""
    return [sys.executable, "-I", "-S", "-c", _STARTER, str(control), *room.argv]


def run(room: Room, source: str, seconds: float = SECONDS) -> tuple[int, str]:
    """Run code in a room to its end, as a supervisor would; answers its exit code and all that it printed.

    Raises: OSError; subprocess.TimeoutExpired.
    """
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        subprocess.Popen(  # noqa: S603 - a command of our own
            start_command(room, theirs.fileno()),
            env=room.env,
            cwd=room.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        ) as process,
    ):
        theirs.close()
        message = {"do": "start", "params": {"source": source}}
        try:
            ours.sendall(json.dumps(message).encode() + b"\n")
            printed, _ = process.communicate(timeout=seconds)
        finally:
            process.kill()
    return process.returncode, printed.decode("utf-8", "replace")
