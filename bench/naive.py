"""A floor: Flask-SocketIO as its tutorials use it, a child's output sent as one event for each line, nothing kept."""

from __future__ import annotations

import subprocess
import sys
import threading

from flask import Flask, request
from flask_socketio import SocketIO

from bench.floors import PROLOGUE

app = Flask(__name__)
socketio = SocketIO(app, async_mode="threading", cors_allowed_origins="*")
children: dict[str, subprocess.Popen[str]] = {}


def read(child: subprocess.Popen[str], sid: str) -> None:
    """Send each line of a child."""
    assert child.stdout is not None
    for line in child.stdout:
        socketio.emit("line", line, to=sid)
    child.wait()
    socketio.emit("end", "", to=sid)


@socketio.on("run")  # type: ignore[untyped-decorator]
def run(code: str) -> None:
    """Start a child; its first line says that it is ready."""
    sid: str = request.sid  # type: ignore[attr-defined]
    command = [sys.executable, "-E", "-u", "-c", PROLOGUE + code]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    children[sid] = child
    threading.Thread(target=read, args=(child, sid), daemon=True).start()


@socketio.on("go")  # type: ignore[untyped-decorator]
def go() -> None:
    """The child may begin."""
    stdin = children[request.sid].stdin  # type: ignore[attr-defined]
    assert stdin is not None
    stdin.write("\n")
    stdin.flush()


@socketio.on("disconnect")  # type: ignore[untyped-decorator]
def disconnect(*_reason: object) -> None:
    """Nobody watches: end the child."""
    child = children.pop(request.sid, None)  # type: ignore[attr-defined]
    if child is not None:
        child.terminate()


if __name__ == "__main__":
    socketio.run(app, host="127.0.0.1", port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
