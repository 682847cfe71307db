"""A sandbox at each level that isolates, and a server's things around it, for the tests of its walls."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.config import load_settings
from app.sandbox import Level, Sandbox
from app.sandbox.probe import run
from app.sandbox.room import Room
from tests.levels import LEVELS

SECRET = "canary-of-the-server"
LIMITS = {"code_memory_megabytes": 128, "code_disk_megabytes": 4, "code_cpu_seconds": 20, "code_processes": 24}
SECONDS = 60.0


class Cell:
    """A sandbox at one level, and a server's things around it."""

    def __init__(self, level: str, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        for name in ("instance", "redis_data"):
            (folder / name).mkdir()
        self.key = folder / "instance" / "secret_key"
        self.settings_file = folder / "webexintegration.env"
        for file in (self.key, self.settings_file):
            file.write_text(SECRET)
            file.chmod(0o666)
        self.sandbox = Sandbox(
            load_settings(
                None,
                sandbox=level,
                sandbox_minimum=level,
                key_dir=str(folder / "instance"),
                data_dir=str(folder / "redis_data"),
                **LIMITS,
            )
        )
        self.rooms: list[Room] = []

    def type(self, source: str, **given: Any) -> str:
        """What such code prints, with its exit code in the last line; it has the names `given`."""
        room = self.sandbox.room()
        try:
            head = "".join(f"{name} = {value!r}\n" for name, value in given.items())
            code, printed = run(room, head + source, SECONDS)
        finally:
            room.cleanup()
        return f"{printed}\nexit {code}"


@pytest.fixture(scope="module", params=LEVELS)
def cell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cell:
    """A sandbox at each level that isolates and that this machine can grant."""
    assert request.param in ("full", "landlock"), "behind any other wall these attempts would succeed"
    made = Cell(request.param, tmp_path_factory.mktemp("cell"))
    assert made.sandbox.level is Level(request.param), made.sandbox.reasons
    return made


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the server's user, with a secret in its environment."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"SECRET": SECRET}) as process:
        yield process
        process.kill()


TRY = """
import json
def attempt(name, what):
    try:
        got = what()
        print("BROKE OUT" if got is None or got else "nothing", name, repr(got)[:300])
    except Exception as error:
        print("refused", name, type(error).__name__)
"""
