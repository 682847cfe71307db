"""Channels: a thousand streams of them on one node, while values are set."""

from __future__ import annotations

import json
import re
import selectors
import time
from urllib.parse import urlsplit

import requests

from bench.checks import check, undisturbed
from bench.figures import PRODUCT, Aim, Figure, Sheet
from bench.product import Product
from bench.workloads.api import SECONDS, Client, busy, read_all, token_of
from bench.workloads.lab import Lab, Workload

STREAMS, QUICK_STREAMS = 1000, 20
CHANNELS = ("X", "Y", "Z")
CHANGES, QUICK_CHANGES = 60, 10
PAUSE = 0.25
STAMP = re.compile(rb'\{"[A-Z]": (\d{6,})\}')


def streams(lab: Lab, sheet: Sheet) -> None:
    """A thousand streams of three channels; four times a second one of these is set to the time that it is."""
    count, changes = lab.size(STREAMS, QUICK_STREAMS), lab.size(CHANGES, QUICK_CHANGES)
    most = {"USER_SOCKETS": str(count + 100), "MAX_CONNECTIONS": str(2 * count + 100)}
    with lab.product(**most) as product:
        setter = Setter(product)
        setter.set(dict.fromkeys(CHANNELS, 0))
        before = product.memory()
        clients = []
        for _ in range(count):
            clients.append(Client(setter.port))
            # At once: a server does not wait long for a request.
            clients[-1].socket.sendall(setter.request())
        read_all(clients, lambda client: client.said[0][1].startswith(b"HTTP/1.1 200") and b"}" in client.said[-1][1])
        sheet.put("channels-memory", PRODUCT, (product.memory() - before) * 1024 / count)
        computed, began = busy(product), time.monotonic()
        with undisturbed():
            _set_and_read(setter, clients, changes)
        sheet.put("channels-cpu", PRODUCT, 100 * (busy(product) - computed) / (time.monotonic() - began))
    found = []
    for each in clients:
        times = [(now - int(stamp)) / 1e6 for now, data in each.said for stamp in STAMP.findall(data)]
        check(len(times) == changes, f"{len(times)} changes instead of {changes}")
        found += times
        each.socket.close()
    sheet.spread("channels", PRODUCT, found)


class Setter:
    """A program with a token; sets by a connection that it keeps."""

    def __init__(self, product: Product) -> None:
        self._token = token_of(product, "channels")
        self._url = f"{product.url}/api/v1.0/channels"
        self.port = urlsplit(product.url).port or 80
        self._http = requests.Session()

    def set(self, values: dict[str, int]) -> None:
        """Set channels."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        answer = self._http.patch(self._url, data=json.dumps({"values": values}), headers=headers, timeout=20)
        check(answer.ok, answer.text)

    def request(self) -> bytes:
        """A stream of the channels, as bytes."""
        query = "&".join(f"channel={name}" for name in CHANNELS)
        head = f"Host: localhost:{self.port}\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        return f"GET /api/v1.0/stream?{query} HTTP/1.1\r\n{head}".encode()


def _set_and_read(setter: Setter, clients: list[Client], changes: int) -> None:
    """Set one channel after the other to the time (monotonic nanoseconds), and read."""
    sent = 0
    following = time.monotonic()
    last = following + PAUSE * changes + 2.0
    with selectors.DefaultSelector() as selector:
        for each in clients:
            selector.register(each.socket, selectors.EVENT_READ, each)
        while time.monotonic() < last:
            if sent < changes and time.monotonic() >= following:
                setter.set({CHANNELS[sent % len(CHANNELS)]: time.monotonic_ns()})
                sent += 1
                following += PAUSE
            for key, _ in selector.select(0.01):
                client: Client = key.data
                check(client.take(), "a stream has ended")
            check(time.monotonic() < last + SECONDS, "the streams are too slow")


WORKLOADS = (
    Workload(
        "channels",
        streams,
        (
            Figure("channels.p50", "1,000 streams of three channels, 4 changes/s: p50", "ms"),
            Figure("channels.p99", "1,000 streams of three channels, 4 changes/s: p99", "ms", Aim(250)),
            Figure("channels-cpu", "the same: the web server's share of a core", "%", digits=0),
            Figure("channels-memory", "memory for each stream of channels", "KB", digits=1),
        ),
        once=True,
    ),
)
