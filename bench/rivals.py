"""The client's side of the floors: runs code there and notes when each message came, as for the product."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.checks import check
from bench.product import free_port
from bench.wire import Wire

Messages = list[tuple[int, str]]
START_SECONDS = 30.0
NAIVE_PATH = "/socket.io/?EIO=4&transport=websocket"


class Forwarder:
    """The asyncio forwarder with a buffered or an unbuffered child."""

    def __init__(self, port: int, name: str) -> None:
        self._port, self.name = port, name
        self._order = name[0].encode()
        self.began = 0

    def prepare(self, code: str) -> Wire:
        """A child that is ready and waits."""
        wire = Wire(self._port, "/")
        wire.send(self._order + code.encode())
        check(wire.first() == b"ready", "the floor's child does not start")
        return wire

    def run(self, code: str) -> Messages:
        """Have `code` run; what came, and when. `began` is when it was let go."""
        wire = self.prepare(code)
        packets: list[tuple[int, bytes]] = []
        self.began = time.monotonic_ns()
        wire.send(b"go")
        while not packets or packets[-1][1] != b"end":
            packets += [(wire.arrived, message) for message in wire.receive()]
        wire.close()
        return [(now, message.decode()) for now, message in packets[:-1]]


class Naive:
    """The naive Flask-SocketIO server."""

    name = "naive"

    def __init__(self, port: int) -> None:
        self._port = port
        self.began = 0

    def run(self, code: str) -> Messages:
        """As Forwarder.run."""
        wire = Wire(self._port, NAIVE_PATH)
        wire.first()
        wire.send(b"40")
        wire.first()
        wire.send(b"42" + json.dumps(["run", code]).encode())
        packets: list[tuple[int, bytes]] = [(0, wire.first())]
        check(packets.pop()[1] == b'42["line","ready\\n"]', "the naive floor's child does not start")
        self.began = time.monotonic_ns()
        wire.send(b'42["go"]')
        while not packets or packets[-1][1] != b'42["end",""]':
            for message in wire.receive():
                if message == b"2":
                    wire.send(b"3")
                else:
                    packets.append((wire.arrived, message))
        wire.close()
        return [(now, json.loads(message[2:])[1]) for now, message in packets[:-1]]


class Floors:
    """All floors, running."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.buffered = Forwarder(ports["floors"], "buffered")
        self.unbuffered = Forwarder(ports["floors"], "unbuffered")
        self.naive = Naive(ports["naive"])
        self.port = ports["floors"]


@contextmanager
def floors() -> Iterator[Floors]:
    """The floors' servers, which end with the block."""
    ports = {name: free_port() for name in ("floors", "naive")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"bench.{name}", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for name, port in ports.items()
    ]
    try:
        for port in ports.values():
            _wait(port)
        yield Floors(ports)
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        check(time.monotonic() < deadline, "a floor does not start")
        time.sleep(0.05)
