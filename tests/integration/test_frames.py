"""Output that goes straight into a websocket: in order with all that does not, and whole where the way is narrow."""

from __future__ import annotations

import time
from typing import Any

import requests

from tests.crowd import cookie_of
from tests.serving import Server
from tests.socket_client import SocketClient
from tests.waiting import wait_until

COUNT = 150_000


def test_a_narrow_way_gets_everything_in_order(server: Server, person: requests.Session) -> None:
    """A slow client with a small buffer and no window, which asks all the time, has all answers and all output."""
    texts: list[str] = []
    wrong: list[Any] = []
    ended: list[str] = []

    def handle(event: str, message: Any) -> None:
        if event == "output":
            if ended or message["start"] != sum(map(len, texts)):
                wrong.append(message)
            texts.append(message["data"])
            # Long enough for the way to be full.
            time.sleep(0.3 if len(texts) < 6 else 0.0)
        elif event == "status" and message["run"]["job"] == "lines" and message["run"]["ended"]:
            ended.append(message["run"]["status"])

    client = SocketClient(server.url, cookie_of(person), handle, buffer=4096)
    quiet = client.call("start_request", {"job": "silent"})["run"]["id"]
    params = {"count": COUNT, "width": 80}
    client.call("start_request", {"job": "lines", "params": params})
    asked = 0
    while not ended:
        # Whatever is answered goes the usual way, in between.
        assert client.call("watch", {"run": quiet}, timeout=60)["ok"]
        asked += 1
    wait_until(lambda: sum(map(len, texts)) == 81 * COUNT)
    client.disconnect()
    assert (wrong, ended) == ([], ["succeeded"])
    assert asked > 3
    assert "".join(texts) == "".join(f"{number:080d}\n" for number in range(COUNT))
