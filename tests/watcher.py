"""A viewer that gives up as little as the page does: it connects anew, goes on where it was, and keeps what came."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import requests
import websocket

from tests.socket_client import ConnectionRefused, SocketClient

RETRY_SECONDS = 0.2
# After the final status: what comes now is wrong.
LISTEN_SECONDS = 0.3


class Watcher:
    """Watches one run in a thread of its own until its end; `wrong` are breaches of what viewers are promised.

    It uses the first of `urls` that answers, beginning with the last one that did.
    """

    def __init__(self, urls: Sequence[str], person: requests.Session, run: str) -> None:
        self._urls, self._run = list(urls), run
        self._cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)
        self.changed = threading.Condition()
        self.awake = threading.Event()
        self.awake.set()
        self.pieces: list[tuple[int, int, str]] = []
        self.omitted: list[tuple[int, int]] = []
        self.final: dict[str, Any] | None = None
        self.wrong: list[str] = []
        self.position = self.connections = 0
        self._client: SocketClient | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        """For messages of tests that failed."""
        status = self.final["status"] if self.final else "no end"
        connected = self._client is not None and self._client.connected
        return f"<at {self.position} by {self._urls[0]}, {connected=}, {self.connections} connections, {status}>"

    @property
    def text(self) -> str:
        """All output that came."""
        with self.changed:
            return "".join(text for _, _, text in self.pieces)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until something has come."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), (self.position, self.final, self.wrong)

    def wait_for_end(self, seconds: float = 60) -> dict[str, Any]:
        """Wait for the final status, and a moment longer for what should not come any more; the run."""
        self._thread.join(seconds)
        assert self.final is not None, (self.position, self.wrong)
        return self.final

    def sleep(self) -> None:
        """Read nothing more until `awake` is set."""
        self.awake.clear()

    def reload(self, position: int) -> None:
        """Forget what came after `position`, where a piece must end, and ask for it again."""
        with self.changed:
            self.pieces = [piece for piece in self.pieces if piece[1] <= position]
            self.omitted = [hole for hole in self.omitted if hole[1] <= position]
            self.position = position
            self._give_up()

    def cut(self) -> None:
        """Lose the connection."""
        with self.changed:
            self._give_up()

    def _give_up(self) -> None:
        if self._client is not None:
            self._client.cut()
            self._client = None

    def close(self) -> None:
        """End, whatever the run does."""
        self._closed = True
        self.awake.set()
        self.cut()
        self._thread.join(20)

    def _work(self) -> None:
        while self.final is None and not self._closed:
            url = self._urls[0]
            try:
                self._serve(url)
            except (OSError, websocket.WebSocketException, ConnectionRefused, AssertionError, KeyError):
                # Nobody there, or gone in the middle of it.
                self._urls = [*self._urls[1:], url]
            time.sleep(RETRY_SECONDS)

    def _serve(self, url: str) -> None:
        mine: list[SocketClient] = []

        def handle(event: str, message: dict[str, Any]) -> None:
            self.awake.wait()
            with self.changed:
                # What a connection brings that has been given up is nobody's any more.
                if mine and mine[0] is self._client and event in ("output", "status"):
                    getattr(self, f"_{event}")(mine[0], message)
                    self.changed.notify_all()

        client = SocketClient(url, self._cookies, handle)
        try:
            with self.changed:
                mine.append(client)
                self._client = client
                after = self.position
            answer = client.call("watch", {"run": self._run, "after": after, "ack": True})
            if not answer["ok"]:
                self._refused(answer["error"])
                return
            self.connections += 1
            while client.connected and self._client is client and self.final is None and not self._closed:
                time.sleep(0.02)
            if self.final is not None:
                time.sleep(LISTEN_SECONDS)
        finally:
            client.cut()

    def _refused(self, error: dict[str, Any]) -> None:
        if error["code"] != "store_unavailable":
            self.wrong.append(f"watch was refused: {error}")
            self._closed = True

    def _output(self, client: SocketClient, message: dict[str, Any]) -> None:
        if message["run"] != self._run:
            return
        if self.final is not None:
            self.wrong.append(f"output after the final status: {message['start']} to {message['position']}")
        if message["start"] != self.position:
            self.wrong.append(f"a gap: {self.position} is followed by {message['start']}")
        self.position = message["position"]
        self.pieces.append((message["start"], message["position"], message["data"]))
        if message.get("omitted"):
            self.omitted.append((message["start"], message["position"]))
        with contextlib.suppress(OSError, websocket.WebSocketException):
            client.emit("ack", {"run": self._run, "position": message["position"]})

    def _status(self, _client: SocketClient, message: dict[str, Any]) -> None:
        run = message["run"]
        if run["id"] != self._run or run["ended"] is None:
            return
        if self.final is not None:
            self.wrong.append(f"a second final status: {run['status']}")
        self.final = run
