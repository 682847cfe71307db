"""Channels on the command line: listed, set, watched over cut connections."""

from __future__ import annotations

import json
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.model import new_id
from tests.api import Api
from tests.client import Client
from tests.proxy import Proxy


@pytest.fixture
def name() -> str:
    """A channel of the test's own."""
    return f"c{new_id()}".replace("-", "_")


def test_they_are_set_and_listed(client: Client, name: str) -> None:
    """JSON where it is some, else text; several at once; what each holds, as it stands."""
    client.good("channels", f"{name}=21.5", f"{name}.state=open", f'{name}.list:=[1, "a"]')
    assert [line.split("\t")[:2] for line in client.good("channels", name, f"{name}.state").splitlines()] == [
        [name, "21.5"],
        [f"{name}.state", '"open"'],
    ]
    assert name in client.good("channels")
    assert client.json("channels", f"{name}.list")[0]["value"] == [1, "a"]
    assert client.json("channels", f"{name}=3")[0]["value"] == 3


def test_what_is_wrong(client: Client, name: str) -> None:
    """Unknown channels, names that are none, values that are none."""
    client.wrong(66, "no channel", "channels", name)
    client.wrong(66, "no channel", "channels", "-f", name)
    client.wrong(2, "Either", "channels", name, f"{name}=3")
    client.wrong(2, "Either", "channels", "-f", f"{name}=3")
    client.wrong(2, "JSON", "channels", f"{name}:=open")
    client.wrong(2, "match", "channels", "a b=3")
    client.wrong(2, "match", "channels", "\x1b[31m=3")
    client.wrong(2, "bytes", "channels", f"{name}={'x' * 5000}")


def test_they_are_watched(api: Api, name: str, tmp_path: Path) -> None:
    """What they hold, then each change, over cut connections, once; a reader that leaves ends it."""
    proxy = Proxy(urlsplit(api.home).port or 80)
    client = Client(tmp_path, f"http://localhost:{proxy.port}", api.token)
    other = Client(tmp_path, api.home, api.token)
    other.good("channels", f"{name}=0")
    with client.begun("channels", "--follow", name) as begun:
        out = begun.process.stdout
        assert out
        assert out.readline() == f"{name}\t0\n".encode()
        for number in range(1, 6):
            other.good("channels", f"{name}={number}")
            if number % 2:
                proxy.cut()
                begun.wait_said("Waiting for")
                begun.said = b""
                proxy.heal()
            assert out.readline() == f"{name}\t{number}\n".encode()
        begun.process.send_signal(signal.SIGINT)
        assert begun.end()[:2] == (130, b"")
    with client.begun("channels", "--follow", "--json", name) as begun:
        out = begun.process.stdout
        assert out
        assert json.loads(out.readline())["values"] == {name: 5}
        out.close()
        # Although nothing changes.
        assert begun.process.wait(30) == 141
    proxy.close()


def test_what_holds_now_is_shown_where_the_storage_counts_anew(tmp_path: Path) -> None:
    """A storage that has lost its newest changes: what was missed is said, and then what the channels hold."""
    records: list[list[dict[str, Any]]] = [
        [{"type": "snapshot", "sequence": 9, "values": {"a": 1}}],
        [{"type": "missed", "changes": None}, {"type": "snapshot", "sequence": 3, "values": {"a": 2}}],
        [{"type": "change", "sequence": 4, "channel": "a", "value": 3}],
    ]
    places: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            if "/stream" not in self.path:
                self.wfile.write(b'{"channels": [{"channel": "a", "value": 1, "sequence": 9, "time": 0}]}')
            elif len(places) < len(records):
                places.append(self.path.partition("after=")[2])
                for record in records[len(places) - 1]:
                    self.wfile.write(json.dumps(record).encode() + b"\n")
            else:
                time.sleep(2)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    client = Client(tmp_path, f"http://127.0.0.1:{server.server_port}", "frt_token")
    with client.begun("channels", "--follow", "--json", "a") as begun:
        out = begun.process.stdout
        assert out
        assert [json.loads(out.readline()) for _ in range(4)] == [record for each in records for record in each]
    server.shutdown()
    server.server_close()
    assert places == ["", "9", "3"]
