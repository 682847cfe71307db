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
CHANNELS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Each stream has three of them, as the seed's users have.
PICKED = 3
CHANGES, QUICK_CHANGES = 60, 10
PAUSE = 0.25
STAMP = re.compile(rb'\{"[A-Z]": (\d{6,})\}')


def streams(lab: Lab, sheet: Sheet) -> None:
    """A thousand streams of three channels each; four times a second one channel is set to the time that it is."""
    count, changes = lab.size(STREAMS, QUICK_STREAMS), lab.size(CHANGES, QUICK_CHANGES)
    most = {"USER_SOCKETS": str(count + 100), "MAX_CONNECTIONS": str(2 * count + 100)}
    with lab.product(**most) as product:
        setter = Setter(product)
        setter.set(dict.fromkeys(CHANNELS, 0))
        picked = [[CHANNELS[(number + step) % len(CHANNELS)] for step in range(PICKED)] for number in range(count)]
        before = product.memory()
        clients = []
        for names in picked:
            clients.append(Client(setter.port))
            # At once: a server does not wait long for a request.
            clients[-1].socket.sendall(setter.request(names))
        read_all(clients, lambda client: client.said[0][1].startswith(b"HTTP/1.1 200") and b"}" in client.said[-1][1])
        sheet.put("channels-memory", PRODUCT, (product.memory() - before) * 1024 / count)
        computed, began = busy(product), time.monotonic()
        with undisturbed():
            sent = _set_and_read(setter, clients, changes)
        sheet.put("channels-cpu", PRODUCT, 100 * (busy(product) - computed) / (time.monotonic() - began))
    found = []
    for names, each in zip(picked, clients, strict=True):
        times = [(now - int(stamp)) / 1e6 for now, data in each.said for stamp in STAMP.findall(data)]
        wanted = sum(name in names for name in sent)
        check(len(times) == wanted, f"{len(times)} changes instead of {wanted}")
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

    def request(self, names: list[str]) -> bytes:
        """A stream of these channels, as bytes."""
        query = "&".join(f"channel={name}" for name in names)
        head = f"Host: localhost:{self.port}\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        return f"GET /api/v1.0/stream?{query} HTTP/1.1\r\n{head}".encode()


def _set_and_read(setter: Setter, clients: list[Client], changes: int) -> list[str]:
    """Set one channel after the other to the time (monotonic nanoseconds), and read; the names that were set."""
    sent: list[str] = []
    following = time.monotonic()
    last = following + PAUSE * changes + 2.0
    with selectors.DefaultSelector() as selector:
        for each in clients:
            selector.register(each.socket, selectors.EVENT_READ, each)
        while time.monotonic() < last:
            if len(sent) < changes and time.monotonic() >= following:
                sent.append(CHANNELS[len(sent) % len(CHANNELS)])
                setter.set({sent[-1]: time.monotonic_ns()})
                following += PAUSE
            for key, _ in selector.select(0.01):
                client: Client = key.data
                check(client.take(), "a stream has ended")
            check(time.monotonic() < last + SECONDS, "the streams are too slow")
    return sent


WORKLOADS = (
    Workload(
        "channels",
        streams,
        (
            Figure("channels.p50", "1,000 streams of 3 of 26 channels, 4 changes/s: p50", "ms"),
            Figure("channels.p99", "1,000 streams of 3 of 26 channels, 4 changes/s: p99", "ms", Aim(250)),
            Figure("channels-cpu", "the same: the web server's share of a core", "%", digits=0),
            Figure("channels-memory", "memory for each stream of channels", "KB", digits=1),
        ),
        once=True,
    ),
)
