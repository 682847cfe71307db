"""People and pages: a login through the stand-in, and a socket that acknowledges as the page in a browser does.

While a measurement runs a page only keeps packets with the time at which they came; they are read afterwards.
"""

from __future__ import annotations

import json
import re
import selectors
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from bench.checks import Wrong, check
from bench.wire import Wire

PATH = "/socket.io/?EIO=4&transport=websocket"
OUTPUT, STATUS, ANSWER = b'42["output"', b'42["status"', b"43"
# News that nothing is measured by.
OTHERS = (b'42["behind"', b'42["queue"')
POSITION = re.compile(rb'"position": ?(\d+)')
RUN = re.compile(rb'"run": ?"([^"]+)"')
# As in app/static/reader.js.
ACK_BYTES = 65_536
ACK_NANOSECONDS = 100_000_000
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Output as it came: when (monotonic nanoseconds), and the bytes from `start` to `position`."""

    time: int
    start: int
    position: int
    text: str


class Person:
    """Somebody who is logged in; `user` counts the people of the stand-in."""

    def __init__(self, url: str, user: int = 0) -> None:
        self.url = url
        self.http = requests.Session()
        page = self.http.get(url, timeout=20)
        users = re.findall(r'name="user" value="([^"]+)"', page.text)
        self.http.post(page.url, data={"user": users[user], "decision": "allow"}, timeout=20).raise_for_status()
        self.cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies)

    def page(self, *, acknowledge: bool = True, deflate: bool = False, buffer: int = 0) -> Page:
        """An open page; `buffer`: the size of its receive buffer, in bytes, where it should not be the usual one."""
        return Page(self.url, self.cookie, acknowledge=acknowledge, deflate=deflate, buffer=buffer)


class Page:
    """One connection. `packets` holds what came, `ended` each run's final status and when it came."""

    def __init__(
        self, url: str, cookie: str, *, acknowledge: bool = True, deflate: bool = False, buffer: int = 0
    ) -> None:
        self.acknowledge = acknowledge
        self.packets: list[tuple[int, bytes]] = []
        self.ended: dict[str, tuple[int, dict[str, Any]]] = {}
        self.on_output: Callable[[int, bytes], object] = lambda now, packet: self.packets.append((now, packet))
        self._answers: dict[int, Any] = {}
        self._number = 0
        self._seen: dict[bytes, int] = {}
        self._acknowledged: dict[bytes, int] = {}
        self._due = 0
        headers = {"Cookie": cookie, "Origin": url}
        self.wire = Wire(urlsplit(url).port or 80, PATH, headers, deflate=deflate, buffer=buffer)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.wire.socket, selectors.EVENT_READ)
        self.wire.first()
        self.wire.send(b"40")
        answer = self.wire.first()
        check(answer.startswith(b"40"), f"the server refused the socket: {answer!r}")
        self.connected = self.wire.arrived

    def emit(self, event: str, message: dict[str, Any]) -> None:
        """Send an event, asking for no answer."""
        self.wire.send(b"42" + json.dumps([event, message]).encode())

    def call(self, event: str, message: dict[str, Any]) -> dict[str, Any]:
        """Send an event and wait for its answer; output that comes before it is kept."""
        self._number += 1
        number = self._number
        self.wire.send(b"42%d" % number + json.dumps([event, message]).encode())
        self.wait(lambda: number in self._answers, f"{event} is not answered")
        answer: dict[str, Any] = self._answers.pop(number)
        check(answer.get("ok"), f"{event}: {answer}")
        return answer

    def start(self, job: str, **params: Any) -> str:
        """Start a job and watch it; the run's id."""
        run: str = self.call("start_request", {"job": job, "params": params, "ack": self.acknowledge})["run"]["id"]
        return run

    def watch(self, run: str, after: int = 0) -> None:
        """Watch a run from a position on."""
        self._seen[run.encode()] = self._acknowledged[run.encode()] = after
        self.call("watch", {"run": run, "after": after, "ack": self.acknowledge})

    def stop(self, run: str) -> None:
        """Ask a run to stop."""
        self.call("stop_request", {"run": run})

    def wait(self, done: Callable[[], bool], otherwise: str, seconds: float = SECONDS) -> None:
        """Take what comes until `done()`.

        Raises: Wrong with `otherwise` after `seconds`.
        """
        wait_for([self], done, otherwise, seconds)

    def wait_end(self, run: str, seconds: float = 300.0) -> dict[str, Any]:
        """Take what comes until the run has ended; its final status."""
        self.wait(lambda: run in self.ended, f"run {run} does not end", seconds)
        return self.ended[run][1]

    def pump(self, seconds: float) -> None:
        """Take what comes at one time, waiting for it for so long at most."""
        due = self._due - time.monotonic_ns() if self._due else 0
        if self._selector.select(min(seconds, max(0.0, due / 1e9)) if self._due else seconds):
            self.take()
        self.acknowledge_due()

    def take(self) -> None:
        """Read once."""
        messages, now = self.wire.receive(), self.wire.arrived
        for message in messages:
            if message.startswith(OUTPUT):
                self.on_output(now, message)
                if self.acknowledge:
                    self._shown(message, now)
            else:
                self._other(message, now)

    def _other(self, message: bytes, now: int) -> None:
        if message == b"2":
            self.wire.send(b"3")
        elif message.startswith(STATUS):
            run = json.loads(message[2:])[1]["run"]
            if run["ended"]:
                self.ended[run["id"]] = (now, run)
        elif message.startswith(ANSWER):
            bracket = message.index(b"[")
            self._answers[int(message[2:bracket])] = json.loads(message[bracket:])[0]
        elif not message.startswith(OTHERS):
            raise Wrong(f"an unexpected packet: {message[:200]!r}")

    def _shown(self, message: bytes, now: int) -> None:
        run = RUN.search(message)
        position = POSITION.search(message, len(message) - 60) or POSITION.search(message)
        if run is None or position is None:
            raise Wrong(f"output without a run or a position: {message[:200]!r}")
        self._seen[run[1]] = reached = int(position[1])
        if reached - self._acknowledged.get(run[1], 0) >= ACK_BYTES:
            self._send_ack(run[1])
        elif not self._due:
            self._due = now + ACK_NANOSECONDS

    def acknowledge_due(self) -> None:
        """Acknowledge what came a while ago."""
        if self._due and time.monotonic_ns() >= self._due:
            self._due = 0
            for run, position in self._seen.items():
                if position > self._acknowledged.get(run, 0):
                    self._send_ack(run)

    def _send_ack(self, run: bytes) -> None:
        self._acknowledged[run] = position = self._seen[run]
        self.wire.send(b'42["ack",{"run":"%s","position":%d}]' % (run, position))

    def pieces(self, run: str, after: int = 0) -> list[Piece]:
        """The output of a run that came.

        Raises: Wrong where some is missing or came twice.
        """
        return read_pieces(self.packets, run, after)

    def close(self) -> None:
        """Leave the page."""
        self._selector.close()
        self.wire.close()


def read_pieces(packets: Iterable[tuple[int, bytes]], run: str, after: int = 0) -> list[Piece]:
    """A run's output in `packets`.

    Raises: Wrong where it does not go from `after` on without a gap.
    """
    found: list[Piece] = []
    for now, packet in packets:
        message = json.loads(packet[2:])[1]
        if message["run"] == run:
            check(not message.get("omitted"), f"output that is not stored: {packet[:200]!r}")
            piece = Piece(now, message["start"], message["position"], message["data"])
            check(piece.start == after, f"run {run} goes on at {piece.start} instead of {after}")
            after = piece.position
            found.append(piece)
    return found


def text_of(pieces: Iterable[Piece]) -> str:
    """Their text together."""
    return "".join(piece.text for piece in pieces)


def latencies(pieces: Iterable[Piece]) -> list[float]:
    """Milliseconds from each line's own stamp (monotonic nanoseconds) to its coming; a piece has whole lines."""
    return [(piece.time - int(line)) / 1e6 for piece in pieces for line in piece.text.split()]


def wait_for(pages: Iterable[Page], done: Callable[[], bool], otherwise: str, seconds: float = SECONDS) -> None:
    """Take what comes on several pages until `done()`.

    Raises: Wrong with `otherwise` after `seconds`.
    """
    pages = list(pages)
    deadline = time.monotonic() + seconds
    if len(pages) == 1:
        while not done():
            check(time.monotonic() < deadline, otherwise)
            pages[0].pump(0.1)
        return
    with selectors.DefaultSelector() as selector:
        for page in pages:
            selector.register(page.wire.socket, selectors.EVENT_READ, page)
        while not done():
            check(time.monotonic() < deadline, otherwise)
            for key, _ in selector.select(0.02):
                key.data.take()
            for page in pages:
                page.acknowledge_due()
