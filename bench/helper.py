"""Clients in processes of their own, so that what they do takes nothing from the client that measures.

`python -m bench.helper ROLE`, with its orders as JSON on the first line of its input; it says `ready`, works until its
work is done or its input ends, and says what it found as a line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.checks import check, check_numbers, undisturbed
from bench.clients import Page, latencies, read_pieces, text_of, wait_for
from bench.rivals import Forwarder


def _say(value: object) -> None:
    print(value if isinstance(value, str) else json.dumps(value), flush=True)


def _told_to_end() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def viewers(orders: dict[str, Any]) -> dict[str, Any]:
    """So many pages watch one run of stamped lines to its end: the latencies of each."""
    pages = [Page(orders["url"], orders["cookie"]) for _ in range(orders["count"])]
    run = orders["run"]
    for page in pages:
        page.watch(run)
    with undisturbed():
        _say("ready")
        wait_for(pages, lambda: all(run in page.ended for page in pages), "a viewer sees no end", orders["seconds"])
    texts = {text_of(page.pieces(run)) for page in pages}
    check(len(texts) == 1, "the viewers saw different output")
    check(texts.pop().count("\n") == orders["lines"], "lines are missing")
    return {"latencies": [latencies(page.pieces(run)) for page in pages]}


def flood(orders: dict[str, Any]) -> dict[str, Any]:
    """One page starts a run that floods, and stops it when told to: the lines that came, and in what time."""
    page = Page(orders["url"], orders["cookie"])
    with undisturbed():
        run = page.start("endless")
        page.wait(lambda: bool(page.packets), "the flood does not begin")
        _say("ready")
        page.wait(_told_to_end, "nobody ends the flood", 300)
        page.stop(run)
        page.wait_end(run)
    pieces = page.pieces(run)
    text = text_of(pieces)
    check_numbers(text, text.count("\n"), what="the flood beside it")
    return {"lines": text.count("\n"), "seconds": (pieces[-1].time - pieces[0].time) / 1e9}


def floor(orders: dict[str, Any]) -> dict[str, Any]:
    """A page at the forwarder takes what a child prints, until told to leave: the lines that came, and in what time."""
    wire = Forwarder(orders["port"], "buffered").prepare(orders["code"])
    lines, began = 0, time.monotonic()
    with undisturbed():
        wire.send(b"go")
        _say("ready")
        while not _told_to_end():
            if select.select([wire.socket], [], [], 0.1)[0]:
                lines += sum(message.count(b"\n") for message in wire.receive())
    wire.close()
    return {"lines": lines, "seconds": time.monotonic() - began}


def reader(orders: dict[str, Any]) -> dict[str, Any]:
    """A page that watches a run and keeps nothing of it: `ready` after so many bytes; then to the run's end."""
    page, run = Page(orders["url"], orders["cookie"]), orders["run"]
    digest = hashlib.sha256()
    taken = 0

    def take(_now: int, packet: bytes) -> None:
        nonlocal taken
        for piece in read_pieces([(0, packet)], run, taken):
            digest.update(piece.text.encode())
            taken = piece.position

    page.on_output = take
    page.watch(run)
    page.wait(lambda: taken >= orders["bytes"], "the output does not come", 1800)
    _say("ready")
    status = page.wait_end(run, 600)
    return {"bytes": taken, "digest": digest.hexdigest(), "run": status, "ended": page.ended[run][0]}


ROLES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "viewers": viewers,
    "flood": flood,
    "floor": floor,
    "reader": reader,
}


class Helper:
    """A helper that runs, as the one who started it sees it."""

    def __init__(self, role: str, orders: dict[str, Any]) -> None:
        self._role = role
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.helper", role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._write(json.dumps(orders) + "\n")

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        check(line, f"the helper for {self._role} failed")
        return line.strip()

    def ready(self) -> None:
        """Wait until it says so."""
        check(self._line() == "ready", f"the helper for {self._role} is not ready")

    def end(self) -> None:
        """Tell it to end its work."""
        self._write("end\n")

    def result(self) -> dict[str, Any]:
        """Wait for what it found."""
        result: dict[str, Any] = json.loads(self._line())
        return result

    def close(self) -> None:
        """Let it go."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.communicate()


@contextmanager
def helper(role: str, **orders: Any) -> Iterator[Helper]:
    """A helper, gone after the block."""
    found = Helper(role, orders)
    try:
        yield found
    finally:
        found.close()


if __name__ == "__main__":
    _say(ROLES[sys.argv[1]](json.loads(sys.stdin.readline())))
