"""The reader of a run's output: each record once, in order, whatever happens to connections and servers meanwhile."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import requests
from urllib3.exceptions import HTTPError

from app.client import exits
from app.client.exits import Failure
from app.client.inbox import Inbox
from app.client.server import BEAT_SECONDS, Server

CHUNK_BYTES = 65_536
# No record comes near it.
LONGEST_LINE = 16 * 1024 * 1024
CUT = (requests.RequestException, HTTPError, OSError)


@dataclass(frozen=True)
class Output:
    """Some bytes of output that begin at `start` and end at `position`; `line` is the record as the server sent it."""

    data: bytes
    stream: str
    start: int
    position: int
    line: bytes


@dataclass(frozen=True)
class News:
    """Any other record."""

    record: dict[str, Any]
    line: bytes


@dataclass(frozen=True)
class Say:
    """A sentence for stderr."""

    text: str


@dataclass(frozen=True)
class Over:
    """There is no more; `failure` is why, where that is no good end."""

    failure: BaseException | None = None


class Reader:
    """Puts Output, News and Say into the inbox, and Over as the last.

    `place` is where it begins, as the API's query; `stream` is "all", "out" or "err"; without `follow` it ends where
    the output ended at the request.
    """

    def __init__(
        self, server: Server, run: str, inbox: Inbox, place: Mapping[str, Any], *, stream: str, follow: bool
    ) -> None:
        self._server = server.heir(lambda text: inbox.put(Say(text)), inbox.closed.wait)
        self._run_path = f"/runs/{run}"
        self._path = f"{self._run_path}/output.ndjson"
        self._inbox, self._place, self._stream, self._follow = inbox, dict(place), stream, follow
        self._position: int | None = None
        self._until = 0
        self._has_end = self._fresh = False
        self._heard = 0
        self._is_over = False

    def start(self) -> None:
        """Begin, in a thread of its own, which ends with the process."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the main thread tells it
            self._inbox.put(Over(error))
        else:
            self._inbox.put(Over())

    def _read(self) -> None:
        while not self._inbox.closed.is_set():
            answer = self._answer()
            if answer is None:
                continue
            began = time.monotonic()
            try:
                if self._take_all(answer):
                    return
            except CUT:
                pass
            finally:
                answer.close()
            if self._fresh:
                self._server.patience.fruitful()
            else:
                self._server.patience.fruitless(time.monotonic() - began)

    def _answer(self) -> requests.Response | None:
        try:
            return self._server.stream(self._path, self._query(), {"Accept-Encoding": "identity"})
        except Failure as error:
            # The second time it has ended without that.
            if error.code != "bad_request" or self._position is None or self._is_over:
                raise
            # The storage has lost the end of the output in a crash. Whoever records it will give it again.
            self._is_over = self._server.call("GET", self._run_path)["ended"] is not None
            self._server.patience.fruitless(0)
            return None

    def _query(self) -> dict[str, Any]:
        place = self._place if self._position is None else {"after": self._position}
        return {
            **place,
            "stream": self._stream,
            "follow": "true" if self._follow else "false",
            "heartbeat": BEAT_SECONDS,
        }

    def _take_all(self, answer: requests.Response) -> bool:
        """Whether this answer had the last there is."""
        self._fresh = False
        for line in lines_of(answer):
            record = _record(line)
            if record["type"] == "begin":
                self._begin(record, line)
            elif record["type"] in ("output", "omitted"):
                self._fresh = True
                self._output(record, line)
            elif record["type"] == "beat":
                self._heard = record["position"]
            elif record["type"] != "behind":
                self._inbox.put(News(record, line))
            if record["type"] == "end":
                return True
        if self._follow or self._has_end or self._position is None:
            return False
        # Of one of two outputs the last sign of life says that it was all.
        return max(self._position, self._heard) >= self._until

    def _begin(self, record: dict[str, Any], line: bytes) -> None:
        if self._position is None:
            self._position, self._until = record["after"], record["run"]["position"]
            # Of a run that is over its `end` is the last, whatever was asked for.
            self._has_end = record["run"].get("ended") is not None
            self._inbox.put(News(record, line))
        elif record["run"].get("asks") is not None:
            self._inbox.put(News({**record, "type": "status"}, b""))

    def _output(self, record: dict[str, Any], line: bytes) -> None:
        here = self._position or 0
        start, position = record["start"], record["position"]
        if position <= here:
            return
        if start > here and self._stream == "all":
            raise Failure(f"Output is missing between byte {here} and byte {start}.", exits.SERVER)
        self._position = position
        if record["type"] == "omitted":
            self._inbox.put(News(record, line))
            return
        data = _data(record)
        if start < here:
            data, start = data[here - start :], here
            line = _line({**record, "start": here}, data)
        self._inbox.put(Output(data, record["stream"], start, position, line))


def lines_of(answer: requests.Response) -> Iterator[bytes]:
    """The whole lines of an answer; the piece of one that was cut off is none."""
    rest, raw = b"", answer.raw
    # Where nothing says how long each piece is, a read of so many bytes would wait for all of them.
    come = raw.stream(CHUNK_BYTES, decode_content=True) if raw.chunked else iter(lambda: raw.read1(CHUNK_BYTES), b"")
    for chunk in come:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > LONGEST_LINE:
            raise Failure("The server sends a line that has no end.", exits.BROKEN)


def _record(line: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = msgspec.json.decode(line)
        right = _is_right(record)
    except (msgspec.DecodeError, RecursionError, TypeError, KeyError):
        right = False
    if not right:
        raise Failure("The server sends something else than records of output.", exits.BROKEN)
    return record


def _is_right(record: dict[str, Any]) -> bool:
    match record["type"]:
        case "output" | "omitted":
            return bool(0 <= record["start"] <= record["position"])
        case "beat":
            return isinstance(record["position"], int)
        case "begin":
            return bool(record["after"] >= 0 <= record["run"]["position"])
        case "status" | "end":
            return isinstance(record["run"]["status"], str)
    return True


def _data(record: dict[str, Any]) -> bytes:
    try:
        data: bytes = base64.b64decode(record["base64"]) if "base64" in record else record["data"].encode()
    except (binascii.Error, KeyError, AttributeError, TypeError):
        raise Failure("The server sends something else than records of output.", exits.BROKEN) from None
    return data


def _line(record: dict[str, Any], data: bytes) -> bytes:
    """A record that has these bytes alone."""
    record.pop("data", None)
    record.pop("base64", None)
    try:
        return msgspec.json.encode({**record, "data": data.decode()})
    except UnicodeDecodeError:
        return msgspec.json.encode({**record, "base64": base64.b64encode(data).decode()})
