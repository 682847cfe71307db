"""The product under measurement: all that `python -m app` starts, in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from bench.checks import check
from bench.clients import Person

ROOT = Path(__file__).parents[1]
PROC = Path("/proc")
START_SECONDS = 60.0


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(**settings: str) -> Iterator[Product]:
    """A freshly started product, which ends with the block; `settings` by their names in the environment."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        port = str(free_port())
        defaults = {"PORT": port, "JOBS": str(ROOT / "bench" / "jobs"), "REDIS_URL": "", "CLIENT_ID": ""}
        # A settings file of this checkout is none of the benchmark's: the folder is the working directory.
        environment = {**os.environ, **defaults, "PYTHONPATH": str(ROOT), **settings}
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "app"], cwd=folder, env=environment, stdout=said, stderr=said
            )
        try:
            yield Product(f"http://localhost:{port}", process, folder)
        finally:
            process.terminate()
            process.wait(30)


class Product:
    """A running product: `url` is its address; `person` is logged in."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.url, self.process, self.folder = url, process, folder
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            check(process.poll() is None and time.monotonic() < deadline, f"no start: {(folder / 'said').read_text()}")
            time.sleep(0.05)
        self.person = Person(url)
        self.page = self.person.page()
        # Once through everything, so that nothing is measured that happens once in a server's life.
        self.page.wait_end(self.page.start("flood", lines=2000))
        self.page.packets.clear()

    def server(self) -> list[int]:
        """The process ids of the web server: the one that serves comes last."""
        found = []
        for folder in PROC.glob("[0-9]*"):
            try:
                if b"gunicorn" in (folder / "cmdline").read_bytes() and self._is_ours(int(folder.name)):
                    found.append(int(folder.name))
            except OSError:
                continue
        return sorted(found, key=self._depth)

    def _is_ours(self, process: int) -> bool:
        return self._depth(process) > 0

    def _depth(self, process: int) -> int:
        depth = 0
        while process > 1:
            if process == self.process.pid:
                return depth
            process = int((PROC / str(process) / "stat").read_text().rsplit(")", 1)[1].split()[1])
            depth += 1
        return 0

    def reset_peak(self) -> None:
        """The peak of the web server's memory begins anew."""
        for process in self.server():
            (PROC / str(process) / "clear_refs").write_text("5")

    def memory(self, line: str = "VmRSS") -> float:
        """The web server's resident megabytes, all of its processes together; `VmHWM`: the most since `reset_peak`."""
        kilobytes = 0
        for process in self.server():
            status = (PROC / str(process) / "status").read_text()
            kilobytes += int(status.partition(f"{line}:")[2].split()[0])
        return kilobytes / 1024

    def proportional(self) -> float:
        """Megabytes of all processes together, what several share counted once (`Pss`)."""
        kilobytes = 0
        for folder in PROC.glob("[0-9]*"):
            try:
                if self._depth(int(folder.name)):
                    rollup = (folder / "smaps_rollup").read_text()
                    kilobytes += int(rollup.partition("Pss:")[2].split()[0])
            except (OSError, IndexError):
                # It has ended meanwhile.
                continue
        return kilobytes / 1024

    def store_memory(self) -> float:
        """Megabytes that the store uses for its data."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10)
            asking.connect(str(self.folder / "redis_data" / "valkey.sock"))
            asking.sendall(b"INFO memory\r\n")
            answer = b""
            while b"used_memory:" not in answer:
                answer += asking.recv(65_536)
        return int(answer.partition(b"used_memory:")[2].split()[0]) / 1e6


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False
