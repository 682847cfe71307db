"""HelloGoodbyer, the example of WSGI middleware: it says goodbye wherever an answer says hello; docs/middleware.md.

What a filter of answers has to mind is minded here: words that are cut between two parts of a body, streams that have
to go on flowing, lengths and tags that hold no more, parts of a whole, answers without a body, and what is none of its
business, such as images, compressed bodies, and what is marked `no-transform`.
"""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

WORDS = {b"hello": b"goodbye", b"Hello": b"Goodbye", b"HELLO": b"GOODBYE"}
_WORD = re.compile(b"|".join(WORDS))
# Texts for people. A script that imports another one by its name would not find it again.
TYPES = frozenset({"text/html", "text/plain"})
# A tag of what comes of another one's.
MARK = "-goodbye"
_TAG = re.compile(r'^(?:W/)?"(.*)"$')
_LENGTH = "content-length"
# What is true of the bytes as they were.
DIGESTS = frozenset({"content-digest", "repr-digest", "digest", "content-md5"})

Headers = list[tuple[str, str]]


class Swap:
    """Bytes in, bytes out: of what may be the beginning of a word, the rest is waited for."""

    def __init__(self) -> None:
        self._held = b""
        self.count = 0

    def __call__(self, data: bytes, *, last: bool = False) -> bytes:
        """What can be said so far; with `last` all that is left."""
        made, count = _WORD.subn(lambda found: WORDS[found[0]], self._held + data)
        self.count += count
        keep = 0 if last else _beginning(made)
        self._held = made[len(made) - keep :]
        return made[: len(made) - keep]


def _beginning(data: bytes) -> int:
    """How many bytes at the end may be the beginning of a word."""
    longest = max(map(len, WORDS)) - 1
    return next((size for size in range(longest, 0, -1) if _is_beginning(data[-size:], size)), 0)


def _is_beginning(end: bytes, size: int) -> bool:
    return len(end) == size and any(word.startswith(end) for word in WORDS)


class HelloGoodbyer:
    """`wsgi`, in whose texts "hello" is "goodbye"; also Hello and HELLO."""

    def __init__(self, wsgi: WSGIApplication) -> None:
        self._wsgi = wsgi

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """As WSGI has it."""
        marked = _unmark(environ)
        answer = _Answer(start_response, marked=marked)
        body = self._wsgi(environ, answer.start)
        if not answer.is_part:
            return answer.of(body)
        # A part of a text says nothing of where its words begin; so the whole is sent, as whoever sends may.
        _close(body)
        whole = {name: value for name, value in environ.items() if name not in ("HTTP_RANGE", "HTTP_IF_RANGE")}
        answer = _Answer(start_response, marked=marked)
        return answer.of(self._wsgi(whole, answer.start))


class _Answer:
    """One answer: its head waits for the first part of the body where that may be all, and so tells the length."""

    def __init__(self, start_response: StartResponse, *, marked: bool) -> None:
        self._start_response, self._marked = start_response, marked
        self._swap: Swap | None = None
        self._waiting: tuple[Any, ...] | None = None
        self._length: int | None = None
        self._started = False
        self._write: Callable[[bytes], object] | None = None
        self.is_part = False

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
        """WSGI's start_response, for the application."""
        number = status.partition(" ")[0]
        suits = _suits({name.lower(): value for name, value in headers})
        self.is_part = suits and number == "206"
        if self._started and exc_info:
            # The server knows whether anything was sent, and raises it then.
            self._swap = None
            return self._start_response(status, headers, exc_info)
        if self.is_part:
            return self._refuse
        if number in ("204", "304") or number.startswith("1") or not suits:
            self._swap, self._waiting = None, None
            kept = _tagged(headers) if number == "304" and self._marked else headers
            self._started = True
            return self._start_response(status, kept, *([exc_info] if exc_info else []))
        self._swap = Swap()
        self._length = next((int(value) for name, value in headers if name.lower() == _LENGTH), None)
        self._waiting = (status, _changed(headers), *([exc_info] if exc_info else []))
        return self._said

    def of(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """The answer's body, of the application's."""
        return body if self._started and self._swap is None else _Body(self, body)

    def part(self, data: bytes) -> bytes:
        """What becomes of a part of the body."""
        if self._swap is None:
            return data
        whole = bool(data) and len(data) == self._length and self._waiting is not None
        made = self._swap(data, last=whole)
        self._send_head(len(made) if whole else None)
        return made

    def rest(self) -> bytes:
        """What is left at the body's end."""
        if self._swap is None:
            return b""
        made = self._swap(b"", last=True)
        # Without a body, as for HEAD, nobody knows how long it would be.
        self._send_head(None)
        if self._swap.count:
            logger.info("changing hellos to goodbyes")
        return made

    def _send_head(self, length: int | None) -> None:
        if self._waiting is None:
            return
        status, headers, *rest = self._waiting
        self._waiting, self._started = None, True
        known = [] if length is None else [("Content-Length", str(length))]
        self._write = self._start_response(status, [*headers, *known], *rest)

    def _said(self, data: bytes) -> None:
        """WSGI's write(), for the application."""
        made = self._swap(data) if self._swap else data
        self._send_head(None)
        if self._write is not None:
            self._write(made)

    @staticmethod
    def _refuse(_data: bytes) -> None:
        """What is written of a part that is not sent is not sent either."""


class _Body:
    """The body, with what is held back at its end."""

    def __init__(self, answer: _Answer, body: Iterable[bytes]) -> None:
        self._answer, self._body = answer, body
        self._parts: Iterator[bytes] | None = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._parts is None:
            raise StopIteration
        part = next(self._parts, None)
        if part is not None:
            return self._answer.part(part)
        self._parts = None
        rest = self._answer.rest()
        if not rest:
            raise StopIteration
        return rest

    def close(self) -> None:
        _close(self._body)


def _close(body: Iterable[bytes]) -> None:
    close: Callable[[], object] | None = getattr(body, "close", None)
    if close is not None:
        close()


def _suits(headers: dict[str, str]) -> bool:
    """Whether it is a text in which words are words, and which may be changed."""
    kind, _, parameters = headers.get("content-type", "").partition(";")
    if kind.strip().lower() not in TYPES or "no-transform" in headers.get("cache-control", "").lower():
        return False
    charset = next((each.partition("=")[2] for each in parameters.split(";") if "charset=" in each.lower()), "utf-8")
    return headers.get("content-encoding", "identity").lower() == "identity" and _is_ascii(charset.strip(' "'))


def _is_ascii(charset: str) -> bool:
    """Whether plain letters are themselves in it, as they are not in UTF-16."""
    try:
        return codecs.encode("Hello", charset) == b"Hello"
    except (LookupError, TypeError, ValueError):
        return False


def _changed(headers: Headers) -> Headers:
    """The headers as they hold for another text of another length, of which no parts can be had."""
    wrong = {*DIGESTS, _LENGTH, "accept-ranges"}
    kept = [(name, value) for name, value in _tagged(headers) if name.lower() not in wrong]
    return [*kept, ("Accept-Ranges", "none")]


def _tagged(headers: Headers) -> Headers:
    return [(name, _mark(value) if name.lower() == "etag" else value) for name, value in headers]


def _mark(tag: str) -> str:
    found = _TAG.match(tag)
    return f'W/"{found[1]}{MARK}"' if found else tag


def _unmark(environ: WSGIEnvironment) -> bool:
    """Have the application know its own tags again; whether one of ours was there."""
    value = environ.get("HTTP_IF_NONE_MATCH", "")
    if f'{MARK}"' not in value:
        return False
    environ["HTTP_IF_NONE_MATCH"] = value.replace(f'{MARK}"', '"')
    return True
