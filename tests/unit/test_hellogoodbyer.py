"""HelloGoodbyer: words across all cuts, lengths, tags, parts, and all that it leaves alone."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.hellogoodbyer import HelloGoodbyer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TEXT = {"Content-Type": "text/plain; charset=utf-8"}
WORDS = some.sampled_from(["hello", "Hello", "HELLO", "hell", "o", "h", "he", "hhello", "helhello", "é☃", " ", "\n"])


class Body:
    """A body of several parts that knows whether it was closed, and fails behind its parts if it is to."""

    def __init__(self, parts: Iterable[bytes], error: Exception | None = None) -> None:
        self._parts, self._error = iter(parts), error
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        if self._error:
            raise self._error

    def close(self) -> None:
        """As WSGI has it."""
        self.closed += 1


class Answer:
    """What a server gets of an application, asked as `method` with these variables of the environ."""

    def __init__(self, wsgi: WSGIApplication, method: str = "GET", **environ: str) -> None:
        self.written: list[bytes] = []
        self.status, self.headers = "", [("", "")]
        self.starts = 0
        asked: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            **environ,
        }
        setup_testing_defaults(asked)
        self.body = wsgi(asked, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info and self.written:
            raise exc_info[1]
        assert exc_info or not self.status, "the head was sent twice"
        self.status, self.headers = status, headers
        self.starts += 1
        return self.written.append

    def whole(self) -> bytes:
        """All of the body, closed behind it."""
        parts = list(self.body)
        close = getattr(self.body, "close", None)
        if close:
            close()
        return b"".join([*self.written, *parts])

    def header(self, name: str) -> str | None:
        """A header that may be there once."""
        found = [value for each, value in self.headers if each.lower() == name.lower()]
        assert len(found) <= 1
        return found[0] if found else None


def application(parts: Iterable[bytes], status: str = "200 OK", **headers: str) -> WSGIApplication:
    """An application with this answer: header names have _ for -."""

    def answer(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [(name.replace("_", "-"), value) for name, value in {**TEXT, **headers}.items()])
        return parts

    return answer


def _plainly(data: bytes) -> bytes:
    return data.replace(b"hello", b"goodbye").replace(b"Hello", b"Goodbye").replace(b"HELLO", b"GOODBYE")


@given(text=some.lists(WORDS).map("".join), cuts=some.lists(some.integers(0, 60)))
def test_words_are_found_across_all_cuts(text: str, cuts: list[int]) -> None:
    """However a body is cut, empty parts and halves of characters included, it is what the whole would be."""
    data = text.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[first:last] for first, last in itertools.pairwise(edges)]
    assert Answer(HelloGoodbyer(application(parts))).whole() == _plainly(data)
    assert Answer(HelloGoodbyer(application(parts, Content_Length=str(len(data))))).whole() == _plainly(data)


def test_a_stream_goes_on_streaming() -> None:
    """Each part comes as soon as it is there; only what may begin a word waits for the next one."""
    sent: list[bytes] = []

    def parts() -> Iterator[bytes]:
        for part in (b"one h", b"el", b"lo, hel", b"p me", b"", b"HELL"):
            sent.append(part)
            yield part

    heard = iter(Answer(HelloGoodbyer(application(parts()))).body)
    for number, part in enumerate([b"one ", b"", b"goodbye, ", b"help me", b"", b"", b"HELL"], 1):
        assert next(heard) == part
        assert len(sent) == min(number, 6)
    assert next(heard, None) is None
    assert next(heard, None) is None


def test_lengths_are_right_or_not_told() -> None:
    """Of a body in one part the new length is told, of one in several none is; the old one never is."""
    one = Answer(HelloGoodbyer(application([b"Hello, hell"], Content_Length="11")))
    assert one.whole() == b"Goodbye, hell"
    assert one.header("Content-Length") == "13"
    several = Answer(HelloGoodbyer(application([b"Hel", b"lo"], Content_Length="5")))
    assert (several.whole(), several.header("Content-Length")) == (b"Goodbye", None)
    empty = Answer(HelloGoodbyer(application([], Content_Length="0")))
    assert (empty.whole(), empty.status, empty.header("Content-Length")) == (b"", "200 OK", None)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content")]
)
def test_what_has_no_body_gets_none(method: str, status: str) -> None:
    """And HEAD does not promise the length of a text that nobody has seen."""
    headers = {"Content_Length": "5"} if method == "HEAD" else {}
    answer = Answer(HelloGoodbyer(application([], status, **headers)), method)
    assert (answer.whole(), answer.status, answer.header("Content-Length")) == (b"", status, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "image/png"},
        {"Content-Type": "application/json"},
        {"Content-Type": "text/javascript"},
        {"Content-Type": "text/plain; charset=utf-16"},
        {"Content-Type": "text/plain; charset=made-up"},
        {"Content-Type": "text/plain; charset=rot13"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "br"},
        {"Cache-Control": "no-store, No-Transform"},
    ],
)
def test_what_is_no_text_for_people_stays_as_it_is(headers: dict[str, str]) -> None:
    """The body is handed on itself, with its length, its tag and its ranges."""
    body = Body([b"Hello"])
    wsgi = application(body, Content_Length="5", ETag='"a"', Accept_Ranges="bytes", **headers)
    answer = Answer(HelloGoodbyer(wsgi))
    assert answer.body is body
    assert answer.header("Content-Length") == "5"
    assert answer.header("ETag") == '"a"'
    assert answer.header("Accept-Ranges") == "bytes"


@pytest.mark.parametrize("charset", ["utf-8", '"UTF-8"', "us-ascii", "iso-8859-1", "windows-1252"])
def test_charsets_with_plain_letters_are_changed(charset: str) -> None:
    """Whatever their other letters are."""
    headers = {"Content-Type": f"text/html; charset={charset}", "Content-Encoding": "identity"}
    wsgi = application([b"\xe9 Hello"], **headers)
    assert Answer(HelloGoodbyer(wsgi)).whole() == b"\xe9 Goodbye"


def test_what_was_true_of_the_old_text_is_not_told_of_the_new() -> None:
    """Another tag, no digest, no ranges."""
    headers = {"ETag": '"v1"', "Accept-Ranges": "bytes", "Content-MD5": "x", "Repr-Digest": "y", "Vary": "Accept"}
    answer = Answer(HelloGoodbyer(application([b"Hello"], **headers)))
    answer.whole()
    assert answer.header("ETag") == 'W/"v1-goodbye"'
    assert answer.header("Accept-Ranges") == "none"
    assert answer.header("Content-MD5") is answer.header("Repr-Digest") is None
    assert answer.header("Vary") == "Accept"


def test_its_tags_come_back() -> None:
    """The application knows its own tag again, and what it says of it is said as it was told."""
    asked: list[str] = []

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked.append(environ["HTTP_IF_NONE_MATCH"])
        start_response("304 Not Modified", [("ETag", '"v1"')])
        return []

    answer = Answer(HelloGoodbyer(wsgi), HTTP_IF_NONE_MATCH='W/"v0", W/"v1-goodbye"')
    assert (answer.whole(), answer.header("ETag")) == (b"", 'W/"v1-goodbye"')
    answer = Answer(HelloGoodbyer(wsgi), HTTP_IF_NONE_MATCH='"v1"')
    assert (answer.whole(), answer.header("ETag")) == (b"", '"v1"')
    assert asked == ['W/"v0", W/"v1"', '"v1"']


@pytest.mark.parametrize(("kind", "whole"), [("text/plain", True), ("image/png", False)])
def test_a_part_of_a_text_is_answered_by_the_whole(kind: str, whole: bool) -> None:
    """A part of other things stays one."""
    bodies: list[Body] = []

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        part = "HTTP_RANGE" in environ
        headers = [("Content-Type", kind), *([("Content-Range", "bytes 2-4/5")] if part else [])]
        start_response("206 Partial Content" if part else "200 OK", headers)
        bodies.append(Body([b"llo" if part else b"Hello"]))
        return bodies[-1]

    answer = Answer(HelloGoodbyer(wsgi), HTTP_RANGE="bytes=2-", HTTP_IF_RANGE='"v1"')
    assert answer.whole() == (b"Goodbye" if whole else b"llo")
    assert answer.status == ("200 OK" if whole else "206 Partial Content")
    assert answer.header("Content-Range") == (None if whole else "bytes 2-4/5")
    assert [each.closed for each in bodies] == ([1, 1] if whole else [1])


def test_what_is_written_is_changed_too() -> None:
    """An application may write before it returns; the head goes out with the first of it."""

    def wsgi(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [*TEXT.items(), ("Content-Length", "18")])
        write(b"Hel")
        write(b"lo! hello ")
        return [b"HELLO"]

    answer = Answer(HelloGoodbyer(wsgi))
    assert answer.written == [b"", b"Goodbye! goodbye "]
    assert (answer.whole(), answer.header("Content-Length")) == (b"Goodbye! goodbye GOODBYE", None)


def test_an_error_takes_the_answer_back() -> None:
    """As long as nothing was sent another answer takes its place; afterwards the server raises the error."""

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [*TEXT.items(), ("Content-Length", "5")])
        try:
            if "HTTP_WRITE" in environ:
                write(b"begun, hello ")
            raise ValueError("gone wrong")  # noqa: TRY301 - as applications do
        except ValueError:
            start_response("500 Oh", list(TEXT.items()), sys.exc_info())
            return [b"Hello error"]

    answer = Answer(HelloGoodbyer(wsgi))
    assert (answer.whole(), answer.status, answer.starts) == (b"Goodbye error", "500 Oh", 1)
    with pytest.raises(ValueError, match="gone wrong"):
        Answer(HelloGoodbyer(wsgi), HTTP_WRITE="1")


def test_errors_in_the_midst_come_through_and_all_is_closed() -> None:
    """What came before the error was said; the server closes, and so does the application's body."""
    body = Body([b"Hello "], ConnectionResetError("cut"))
    answer = Answer(HelloGoodbyer(application(body)))
    parts: Any = iter(answer.body)
    assert next(parts) == b"Goodbye "
    with pytest.raises(ConnectionResetError):
        next(parts)
    parts.close()
    assert body.closed == 1


def test_an_application_that_begins_late_is_served_too() -> None:
    """A generator starts its answer when it is first asked for it."""

    def wsgi(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT.items(), ("Content-Length", "5")])
        yield b"Hello"

    answer = Answer(HelloGoodbyer(wsgi))
    assert (answer.whole(), answer.header("Content-Length")) == (b"Goodbye", "7")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("parts", [[b"Hello"], [b"Hel", b"lo"], []])
def test_it_keeps_the_rules_of_wsgi(method: str, parts: list[bytes]) -> None:
    """Python's own checker stands on both sides of it."""
    inner = application([] if method == "HEAD" else parts)
    answer = Answer(validator(HelloGoodbyer(validator(inner))), method)
    expected = b"" if method == "HEAD" or not parts else b"Goodbye"
    assert answer.whole() == expected


def test_a_change_is_logged_once_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """And only where something was changed."""
    caplog.set_level("INFO", "app.hellogoodbyer")
    Answer(HelloGoodbyer(application([b"Hello hello", b" HELLO"]))).whole()
    Answer(HelloGoodbyer(application([b"Good morning"]))).whole()
    assert re.findall("changing hellos to goodbyes", caplog.text) == ["changing hellos to goodbyes"]
