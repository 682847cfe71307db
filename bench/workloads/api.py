"""The HTTP API: a thousand streams of one run on one node, and calls one after the other and side by side."""

from __future__ import annotations

import os
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bench.checks import check, undisturbed
from bench.figures import PRODUCT, Aim, Figure, Sheet
from bench.product import Product
from bench.workloads.lab import Lab, Workload, signal_file

STREAMS, QUICK_STREAMS = 1000, 20
LINES, QUICK_LINES = 60, 10
# Each line goes to a thousand: what is measured is the fan-out, four thousand deliveries a second, and no flood.
PAUSE = 0.25
CALLS, QUICK_CALLS = 3000, 100
CALLERS = 16
SECONDS = 120.0
TICKS = os.sysconf("SC_CLK_TCK")
SECRET = re.compile(r"frt_[A-Za-z0-9_-]{43}")
STAMP = re.compile(rb"^(\d{6,})\n", re.MULTILINE)


class Client:
    """One connection; `said` holds what came, with the time (monotonic nanoseconds) of each read."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.said: list[tuple[int, bytes]] = []

    def take(self) -> bytes:
        """Read once."""
        data = self.socket.recv(65_536)
        self.said.append((time.monotonic_ns(), data))
        return data


def token_of(product: Product, *scopes: str) -> str:
    """A token of the product's person."""
    form = {"name": "bench", "days": "1", "scope": list(scopes)}
    page = product.person.http.post(f"{product.url}/tokens", data=form, timeout=20)
    found = SECRET.search(page.text)
    check(found, "no token is made")
    return found[0] if found else ""


class Caller:
    """Asks the API with a token of the product's person."""

    def __init__(self, product: Product) -> None:
        self.port = urlsplit(product.url).port or 80
        token = token_of(product, "read", "run", "stop")
        self.head = f"Host: localhost:{self.port}\r\nAuthorization: Bearer {token}\r\n\r\n"

    def request(self, path: str) -> bytes:
        """A GET as bytes."""
        return f"GET /api/v1.0{path} HTTP/1.1\r\n{self.head}".encode()

    def post(self, path: str, body: bytes) -> bytes:
        """A POST of JSON as bytes."""
        about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"POST {path} HTTP/1.1\r\n{about}{self.head}".encode() + body


def streams(lab: Lab, sheet: Sheet) -> None:
    """One run prints a stamped line four times a second, and a thousand streams have it."""
    count, lines = lab.size(STREAMS, QUICK_STREAMS), lab.size(LINES, QUICK_LINES)
    most = {"USER_SOCKETS": str(count + 100), "MAX_CONNECTIONS": str(2 * count + 100)}
    with lab.product(**most) as product, signal_file() as signal:
        caller = Caller(product)
        run = product.page.start("stamps", lines=lines, pause=PAUSE, signal=str(signal))
        before = product.memory()
        request = caller.request(f"/runs/{run}/output.raw")
        clients = []
        for _ in range(count):
            clients.append(Client(caller.port))
            # At once: a server does not wait long for a request.
            clients[-1].socket.sendall(request)
        read_all(clients, lambda client: client.said and client.said[0][1].startswith(b"HTTP/1.1 200"))
        sheet.put("streams-memory", PRODUCT, (product.memory() - before) * 1024 / count)
        computed, began = busy(product), time.monotonic()
        with undisturbed():
            signal.touch()
            read_all(clients, lambda client: client.said[-1][1].endswith(b"0\r\n\r\n"))
        sheet.put("streams-cpu", PRODUCT, 100 * (busy(product) - computed) / (time.monotonic() - began))
    found = []
    for each in clients:
        times = [(now - int(stamp)) / 1e6 for now, data in each.said for stamp in STAMP.findall(data)]
        check(len(times) == lines, f"{len(times)} lines instead of {lines}")
        found += times
        each.socket.close()
    sheet.spread("streams", PRODUCT, found)


def calls(lab: Lab, sheet: Sheet) -> None:
    """The status of a run, asked on one connection, then on sixteen."""
    count = lab.size(CALLS, QUICK_CALLS)
    with lab.product() as product:
        caller = Caller(product)
        run = product.page.start("hello")
        product.page.wait_end(run)
        product.page.packets.clear()
        request = caller.request(f"/runs/{run}")
        with connected(caller.port, 1) as clients:
            _, took = ask(clients, request, count)
            sheet.spread("call", PRODUCT, took)
        with connected(caller.port, CALLERS) as clients:
            seconds, _ = ask(clients, request, count)
            sheet.put("calls", PRODUCT, count / seconds)


@contextmanager
def connected(port: int, count: int) -> Iterator[list[Client]]:
    """So many connections."""
    clients = [Client(port) for _ in range(count)]
    try:
        yield clients
    finally:
        for each in clients:
            each.socket.close()


def ask(clients: list[Client], request: bytes, count: int) -> tuple[float, list[float]]:
    """Seconds for `count` calls, and the milliseconds of each; each client has one at a time."""
    asked, left = dict.fromkeys(clients, 0), count
    took: list[float] = []
    with selectors.DefaultSelector() as selector, undisturbed():
        for each in clients:
            selector.register(each.socket, selectors.EVENT_READ, each)
        began = time.monotonic_ns()
        for each in clients:
            asked[each] = time.monotonic_ns()
            each.socket.sendall(request)
            left -= 1
        while len(took) < count:
            for key, _ in selector.select(SECONDS):
                client: Client = key.data
                # An answer of this size comes in one piece or in two.
                client.take()
                if not _whole(client):
                    continue
                took.append((client.said[-1][0] - asked[client]) / 1e6)
                client.said.clear()
                if left:
                    left -= 1
                    asked[client] = time.monotonic_ns()
                    client.socket.sendall(request)
        return (time.monotonic_ns() - began) / 1e9, took


def _whole(client: Client) -> bool:
    said = b"".join(data for _, data in client.said)
    head, _, body = said.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    check(said.startswith(b"HTTP/1.1 200") and client.said[-1][1], f"no good answer: {said[:200]!r}")
    return length is not None and len(body) >= int(length[1])


def read_all(clients: list[Client], done: Callable[[Client], object]) -> None:
    """Read until `done(client)` for each."""
    deadline = time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        waiting = {client for client in clients if not (client.said and done(client))}
        for each in waiting:
            selector.register(each.socket, selectors.EVENT_READ, each)
        while waiting:
            check(time.monotonic() < deadline, f"{len(waiting)} streams wait too long")
            for key, _ in selector.select(1.0):
                client: Client = key.data
                if not client.take() or done(client):
                    selector.unregister(client.socket)
                    waiting.discard(client)


def busy(product: Product) -> float:
    """Seconds of computing of the web server, all of its processes together."""
    seconds = 0.0
    for process in product.server():
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        seconds += (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


WORKLOADS = (
    Workload(
        "http-streams",
        streams,
        (
            Figure("streams.p50", "1,000 HTTP streams of one run, 4 lines/s: p50", "ms"),
            Figure("streams.p99", "1,000 HTTP streams of one run, 4 lines/s: p99", "ms", Aim(250)),
            Figure("streams-cpu", "the same: the web server's share of a core", "%", digits=0),
            Figure("streams-memory", "memory for each HTTP stream", "KB", digits=1),
        ),
        once=True,
    ),
    Workload(
        "calls",
        calls,
        (
            Figure("calls", "API calls (a run's status), 16 at a time", "calls/s", digits=0),
            Figure("call.p50", "one API call after the other: p50", "ms"),
            Figure("call.p99", "one API call after the other: p99", "ms"),
        ),
    ),
)
