"""The product under measurement: all that `python -m app` starts, in a folder of its own, and a logged-in client."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import requests
import websockets.sync.client

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running() -> Iterator[Client]:
    """A client of a freshly started product, which ends with the block."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings = {
            "PORT": str(port),
            "DATA_DIR": f"{folder}/data",
            "KEY_DIR": f"{folder}/keys",
            "JOBS": str(ROOT / "bench" / "jobs"),
            "REDIS_URL": "",
            "CLIENT_ID": "",
        }
        command = [sys.executable, "-m", "app"]
        with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.DEVNULL) as process:
            try:
                yield Client(f"http://localhost:{port}", process)
            finally:
                process.terminate()


class Client:
    """One websocket of a person who logged in through the stand-in; it acknowledges what it gets, as the page does."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        deadline = time.monotonic() + 60
        while not _answers(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        person = requests.Session()
        page = person.get(url, timeout=20)
        user = re.findall(r'name="user" value="([^"]+)"', page.text)[0]
        person.post(page.url, data={"user": user, "decision": "allow"}, timeout=20).raise_for_status()
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)
        address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        self._socket = websockets.sync.client.connect(
            address,
            additional_headers={"Cookie": cookies},
            origin=cast("Any", url),
            compression=None,
            max_size=None,
        )
        self._socket.recv()
        self._socket.send("40")
        self._socket.recv()

    def send(self, event: str, message: dict[str, Any]) -> None:
        """Send an event, without waiting for an answer."""
        self._socket.send("42" + json.dumps([event, message]))

    def start(self, job: str, **params: Any) -> str:
        """Start a job; the run's id."""
        self._socket.send("421" + json.dumps(["start_request", {"job": job, "params": params, "ack": True}]))
        while True:
            packet = self._packet()
            if packet.startswith("431"):
                answer = json.loads(packet[3:])[0]
                assert answer["ok"], answer
                run: str = answer["run"]["id"]
                return run

    def events(self, run: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events of one run, each as soon as it comes, until the run's end."""
        while True:
            packet = self._packet()
            if not packet.startswith("42"):
                continue
            event, message = json.loads(packet[2:])
            if event == "output" and message["run"] == run:
                yield event, message
                self.send("ack", {"run": run, "position": message["position"]})
            elif event == "status" and message["run"]["id"] == run:
                yield event, message["run"]
                if message["run"]["ended"]:
                    return

    def _packet(self) -> str:
        while True:
            packet = str(self._socket.recv())
            if packet == "2":
                self._socket.send("3")
            else:
                return packet

    def server_memory(self) -> int:
        """The web server's resident bytes, all of its processes together."""
        pages = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                if b"gunicorn" in command and self._is_ours(int(folder.name)):
                    pages += int((folder / "statm").read_text().split()[1])
            except (OSError, IndexError):
                continue
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _is_ours(self, process: int) -> bool:
        while process > 1:
            if process == self.process.pid:
                return True
            process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
        return False


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False
