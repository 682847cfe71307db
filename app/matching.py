"""Matching: finds the lines of a block of output that hold a text or a regular expression, in linear time.

RE2 searches many lines at once, outside Python's lock; a line longer than 64 KiB is searched in pieces that overlap by
4 KiB, so that a match up to that length is found wherever it lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

import re2

from app.errors import BadRequest
from app.plain import is_plain, plain

PIECE_BYTES = 65_536
OVERLAP_BYTES = 4096
QUERY_CHARACTERS = 1000
SHOWN_CHARACTERS = 400
SHOWN_BEFORE = 80
# RE2 falls back to trying a program's instructions one by one, so their number bounds the time for a piece: about 1 s.
PROGRAM_SIZE = 2000
PROGRAM_BYTES = 1 << 20
MANY_LINES = "(?m)"
# These look at a text's beginning and end, and a text has many lines here.
_WHOLE_TEXT = re.compile(r"\\[Az]|\(\?[A-Za-z]*-[A-Za-z]*m")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches: bytes `start` to `end` of its block; `text` is its part around the match.

    The match is at the characters `begins` to `ends` of `text`, and at `column` (from 0) of the line.
    """

    start: int
    end: int
    text: str
    begins: int
    ends: int
    column: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `start` to `end` of a block; matches that begin from `own` on belong to the next piece.

    `inside` tells that it begins inside a line.
    """

    start: int
    own: int
    end: int
    inside: bool = False


class Query:
    """What is searched for: `text` as it is, or `pattern` in RE2's syntax.

    Raises: BadRequest with the reason.
    """

    def __init__(self, text: str | None, pattern: str | None, *, ignore_case: bool = False) -> None:
        given = [each for each in (text, pattern) if each is not None]
        if len(given) != 1 or not given[0]:
            raise BadRequest("text or pattern: expected one of them")
        if len(given[0]) > QUERY_CHARACTERS:
            raise BadRequest(f"{'text' if pattern is None else 'pattern'}: at most {QUERY_CHARACTERS} characters")
        options = re2.Options()
        options.case_sensitive = not ignore_case
        options.never_nl = options.never_capture = True
        options.log_errors = False
        options.max_mem = PROGRAM_BYTES
        try:
            wanted = re2.escape(given[0].encode()) if pattern is None else (MANY_LINES + given[0]).encode()
            self._found = re2.compile(wanted, options)
        except UnicodeEncodeError:
            raise BadRequest("This is no text: it holds half of a character.") from None
        except re2.error as error:
            raise BadRequest(f"This is no regular expression: {_reason(error)}") from None
        if self._found.programsize > PROGRAM_SIZE:
            raise BadRequest("This regular expression is too large: use fewer or smaller repetitions.")
        self._single = pattern is not None and _WHOLE_TEXT.search(pattern) is not None

    def spans(self, text: bytes, first: int) -> Iterator[Span]:
        """The first match of each line of `text`, which ends with one, from byte `first` on."""
        while first < len(text):
            if self._single:
                end = _line_end(text, first)
                found = self._found.search(text[first:end])
                if found is not None:
                    yield first + found.start(), first + found.end()
            else:
                found = self._found.search(text, first)
                if found is None or found.start() == len(text):
                    return
                yield found.span()
                end = _line_end(text, found.start())
            first = end + 1


def _line_end(text: bytes, start: int) -> int:
    end = text.find(b"\n", start)
    return len(text) if end < 0 else end


def _reason(error: Exception) -> str:
    reason = error.args[0]
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return text.replace(MANY_LINES, "", 1)


def pieces(raw: bytes | bytearray, *, open_end: bool, inside: bool, own: int | None = None) -> tuple[list[Piece], int]:
    """The pieces to search a block in, and where the rest begins that waits for what comes after an open end.

    `inside`: the block begins inside a line; `own`: where it ends but for what the piece after it has searched.
    """
    found: list[Piece] = []
    start, end = 0, len(raw)
    while start < end:
        last = end - start <= PIECE_BYTES
        cut = raw.rfind(b"\n", start, start + PIECE_BYTES) + 1
        if last and not open_end:
            found.append(Piece(start, end, end, inside))
            start = end
        elif cut:
            found.append(Piece(start, cut, cut, inside))
            start, inside = cut, False
        elif last:
            break
        else:
            piece_end = start + PIECE_BYTES
            next_start = _character(raw, piece_end - OVERLAP_BYTES)
            found.append(Piece(start, next_start, _character(raw, piece_end), inside))
            start, inside = next_start, True
    if own is not None and found:
        found = [Piece(each.start, min(each.own, own), each.end, each.inside) for each in found if each.start < own]
    return found, start


def _character(raw: bytes | bytearray, cut: int) -> int:
    """Where the character begins that has a byte at `cut`."""
    for start in range(cut, cut - 4, -1):
        if raw[start] & 0xC0 != 0x80:  # noqa: PLR2004 - the continuation bytes of UTF-8
            return start
    return cut


def search_piece(query: Query, raw: bytes, piece: Piece, most: int, backwards: bool) -> list[Hit]:
    """The first `most` lines of a piece that match; backwards the last ones, from the last on."""
    part = raw[piece.start : piece.end]
    text = _plain(part)
    own = len(_plain(part[: piece.own - piece.start])) if piece.own < piece.end else len(text) + 1
    if not part.endswith(b"\n"):
        text += b"\n"
    first = 0
    if piece.inside:
        # So that ^ does not take the piece's beginning for the line's.
        text, first, own = b"\0" + text, 1, own + 1
    spans = takewhile(lambda span: span[0] < own, query.spans(text, first))
    found = list(spans)[: -most - 1 : -1] if backwards else islice(spans, most)
    return [_hit(piece, part, text, first, span) for span in found]


def _plain(raw: bytes) -> bytes:
    if is_plain(raw) and raw.isascii():
        return raw
    text = raw.decode("utf-8", "replace")
    return (text if is_plain(raw) else _by_parts(text)).encode()


def _by_parts(text: str) -> str:
    """`plain`, whole lines at a time, so that other threads get their turn."""
    done, start = [], 0
    while start < len(text):
        end = text.find("\n", start + 16_384) + 1 or len(text)
        done.append(plain(text[start:end]))
        start = end
    return "".join(done)


def _hit(piece: Piece, part: bytes, text: bytes, first: int, span: Span) -> Hit:
    begin = max(first, text.rfind(b"\n", 0, span[0]) + 1)
    before = text.count(b"\n", first, begin)
    start = nth_newline(part, before) + 1
    stop = part.find(b"\n", start) + 1 or len(part)
    line = text[begin : _line_end(text, begin)].decode().rstrip("\r")
    column = len(text[begin : span[0]].decode())
    length = len(text[span[0] : span[1]].decode())
    left = max(0, column - SHOWN_BEFORE)
    shown = line[left : left + SHOWN_CHARACTERS]
    begins = min(column - left, len(shown))
    return Hit(piece.start + start, piece.start + stop, shown, begins, min(begins + length, len(shown)), column)


def nth_newline(data: bytes, count: int) -> int:
    """The index of the newline number `count`, from 1; -1 for 0 of them, the length where there are fewer."""
    low, high = 0, len(data)
    while high - low > 1024:  # noqa: PLR2004 - few enough to be looked for one by one
        middle = (low + high) // 2
        there = data.count(b"\n", low, middle)
        if there >= count:
            high = middle
        else:
            count -= there
            low = middle
    found = low - 1
    for _ in range(count):
        found = data.find(b"\n", found + 1)
        if found < 0:
            return len(data)
    return found
