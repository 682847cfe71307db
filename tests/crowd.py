"""Very many idle pages: `python -m tests.crowd URL COUNT` opens websockets and keeps them, as a browser would.

Its first line of input is a JSON list of cookie headers, which the sockets take in turn. It tells, once all have tried
to connect and then for each further line of input, a line of JSON: how many sockets are `open`, were `refused` (by a
503, or an error of Socket.IO, the last of which is the `refusal`) and `lost`, how many heartbeats were `answered`, how
many were `told` the state of the system at all, and for how many the last that they were told has a run that happens
(`running`). One that the store was too slow for comes again, as pages do.

A page of runs is in the default namespace, and each page is in `/status`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any
from urllib.parse import urlsplit

import requests

ROOT = Path(__file__).parents[1]
STATE = b'42/status,["state",'
# How many connect at a time.
AT_ONCE = 50
TIMEOUT = 60
AGAIN_SECONDS = 1.0
HEAD = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass
class Counts:
    """What has become of the sockets."""

    open: int = 0
    refused: int = 0
    lost: int = 0
    answered: int = 0
    told: int = 0
    running: int = 0
    refusal: str = ""


class AgainLater(Exception):
    """The store did not answer in time."""


def _frame(text: bytes) -> bytes:
    # A short text, masked with zeros.
    return bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text


async def _message(reader: asyncio.StreamReader) -> bytes:
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    message = await reader.readexactly(length)
    if first & 0x0F == 8:
        raise EOFError
    return message


async def _open(url: str, cookie: str, counts: Counts) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    writer.write(HEAD.format(host=parts.netloc, origin=url, cookie=cookie).encode())
    status = await reader.readline()
    if b" 503 " in status:
        counts.refused += 1
        writer.close()
        return None
    await reader.readuntil(b"\r\n\r\n")
    await _message(reader)
    writer.write(_frame(b"40"))
    answer = await _message(reader)
    if not answer.startswith(b"40"):
        writer.close()
        if b'"store_unavailable"' in answer:
            raise AgainLater
        counts.refused += 1
        counts.refusal = answer.decode()
        return None
    counts.open += 1
    writer.write(_frame(b"40/status,"))
    return reader, writer


async def _persist(url: str, cookie: str, counts: Counts) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    while True:
        try:
            return await _open(url, cookie, counts)
        except AgainLater:
            await asyncio.sleep(AGAIN_SECONDS)


async def _stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counts) -> None:
    told = running = False
    try:
        while True:
            message = await _message(reader)
            if message == b"2":
                writer.write(_frame(b"3"))
                counts.answered += 1
            elif message.startswith(STATE):
                counts.told += not told
                before, running = running, b'"running":0' not in message
                counts.running += running - before
                told = True
    except (OSError, EOFError):
        counts.open -= 1
        counts.lost += 1


async def _crowd(url: str, count: int, cookies: list[str]) -> None:
    counts, gate, staying = Counts(), asyncio.Semaphore(AT_ONCE), []

    async def visit(cookie: str) -> None:
        async with gate:
            try:
                streams = await asyncio.wait_for(_persist(url, cookie, counts), TIMEOUT)
            except (OSError, EOFError, TimeoutError):
                counts.lost += 1
                return
        if streams is not None:
            staying.append(asyncio.create_task(_stay(*streams, counts)))

    await asyncio.gather(*(visit(cookie) for cookie, _ in zip(cycle(cookies), range(count), strict=False)))
    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    sys.stdout.write(json.dumps(vars(counts)) + "\n")
    sys.stdout.flush()
    while await questions.readline():
        sys.stdout.write(json.dumps(vars(counts)) + "\n")
        sys.stdout.flush()


class Crowd:
    """A process with many sockets."""

    def __init__(self, process: Popen[str]) -> None:
        self._process = process

    def ask(self) -> dict[str, Any]:
        """How its sockets are now."""
        assert self._process.stdin is not None
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        return self.told()

    def told(self) -> dict[str, Any]:
        """What it tells unasked, once all have tried to connect."""
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def cookie_of(person: requests.Session) -> str:
    """The cookies of somebody who is logged in, as a header."""
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)


@contextmanager
def crowds(url: str, cookies: list[str], count: int, processes: int = 2) -> Iterator[list[Crowd]]:
    """Processes that have opened `count` sockets together, for these cookies in turn; all are closed at the end."""
    command = [sys.executable, "-m", "tests.crowd", url, str(count // processes)]
    options: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE, "text": True, "bufsize": 1, "cwd": ROOT}
    started = [Popen(command, **options) for _ in range(processes)]
    try:
        for process in started:
            assert process.stdin is not None
            process.stdin.write(json.dumps(cookies) + "\n")
            process.stdin.flush()
        yield [Crowd(process) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def main() -> None:
    """Run the command line."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    url, count = sys.argv[1:]
    asyncio.run(_crowd(url, int(count), json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
