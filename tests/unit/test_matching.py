"""Finding lines in output: against a plain split of the whole, over random output in random records."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import BadRequest
from app.found import Found, Match
from app.lookup import Lookup, Place
from app.matching import OVERLAP_BYTES, PIECE_BYTES, Query, nth_newline
from app.model import Kind, Record, Run, Status, User
from app.output import Output
from app.plain import plain
from app.stack import ThreadingStack

RED, END = b"\x1b[1;31m", b"\x1b[0m"
PARTS = [
    b"a",
    b"b",
    b"ab",
    b"A",
    b" ",
    b"\n",
    b"\n",
    b"\r\n",
    b"\xc3\xa9",
    "☃".encode(),
    b"\xff",
    RED,
    END,
    b"\x1b",
    b"\0",
]
WHOLE = st.lists(st.sampled_from(PARTS), max_size=200).map(b"".join)


class Stored:
    """Stored output as `Output` gives it, in records of chosen sizes, with holes."""

    def __init__(self, pieces: list[bytes | int]) -> None:
        self.records: list[Record] = [Record(0, 1, Kind.STATUS)]
        position, line, self.reads = 0, 1, 0
        for number, piece in enumerate(pieces):
            if isinstance(piece, int):
                position += piece
                self.records.append(Record(position, kind=Kind.OMITTED, omitted=piece))
                line += 3
            elif piece:
                position += len(piece)
                self.records.append(Record(position, data=piece, time=float(number), line=line))
                self.records.append(Record(position, 1, Kind.STATUS))
                line += piece.count(b"\n")
        self.end = position
        self.run = Run("r", "j", "J", User("u", "U", ""), Status.SUCCEEDED, 0.0, "thread", position=position)

    def read(self, _run_id: str, after: tuple[int, int], count: int) -> list[Record]:
        """As Output.read."""
        self.reads += 1
        return [record for record in self.records if record.cursor > after][:count]

    def locate(self, _run_id: str, *, line: int | None = None, time: float | None = None) -> int:
        """As Output.locate."""
        data = [record for record in self.records if record.data]
        early = [r for r in data if (r.line < line if line is not None else r.time < (time or 0))]
        if not early:
            return data[0].start if data else 0
        return early[-1].start if line is not None else early[-1].position

    def lookup(self, seconds: float = 60) -> Lookup:
        """The lookup over this."""
        return Lookup(ThreadingStack(), cast("Output", self), seconds)

    def search(self, query: Query, *, limit: int = 1000, backwards: bool = False, seconds: float = 60) -> list[Match]:
        """All matches, however many calls they take."""
        found: Found | None = None
        matches: list[Match] = []
        while found is None or not found.done:
            after = found.searched if found else None
            found = self.lookup(seconds).search(self.run, query, after=after, backwards=backwards, limit=limit)
            assert len(found.matches) <= limit
            assert after is None or found.done or (found.searched < after if backwards else found.searched > after)
            matches += found.matches
        return matches


def cut(whole: bytes, sizes: list[int]) -> list[bytes | int]:
    """The whole in pieces of these sizes."""
    places = [0]
    for size in sizes:
        places.append(places[-1] + size)
    return [whole[start:end] for start, end in pairwise([*places, max(len(whole), places[-1])])]


def lines_of(whole: bytes) -> list[tuple[int, int, bytes]]:
    """Position, number and bytes of each line."""
    found, position = [], 0
    for number, line in enumerate(whole.split(b"\n"), 1):
        if line or position < len(whole):
            found.append((position, number, line))
        position += len(line) + 1
    return found


def shown(line: bytes) -> str:
    """A line as it is searched."""
    return plain(line.decode("utf-8", "replace")).rstrip("\r")


SIZES = st.lists(st.integers(1, 40), max_size=20)


@given(
    WHOLE,
    SIZES,
    st.sampled_from(["a", "ab", "b a", "é", "☃", "\ufffd", "[", "abc"]),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(1, 5),
)
@settings(max_examples=300, deadline=None)
def test_every_line_with_the_text_is_found(
    whole: bytes, sizes: list[int], text: str, options: tuple[bool, bool], limit: int
) -> None:
    """Page by page, either way, the matches are the lines of the whole that hold the text, each once, in order."""
    ignore_case, backwards = options
    flags = re.IGNORECASE if ignore_case else 0
    expected = []
    for position, number, line in lines_of(whole):
        found = re.search(re.escape(text), shown(line), flags)
        if found:
            expected.append((position, number, shown(line), found.start(), found.end()))
    query = Query(text, None, ignore_case=ignore_case)
    matches = Stored(cut(whole, sizes)).search(query, limit=limit, backwards=backwards)
    given_ = [(each.position, each.line, each.text, each.begins, each.ends) for each in matches]
    assert given_ == (expected[::-1] if backwards else expected)
    for each in matches:
        assert shown(whole[each.position : each.end].removesuffix(b"\n")) == each.text


@given(
    WHOLE, SIZES, st.sampled_from(["^a", "b$", "a.*b", "^$", "[^a]b", r"\s", r"(?-m:^)a", r"\Aa|b\z", "a|", "(?i)AB"])
)
@settings(max_examples=300, deadline=None)
def test_expressions_match_within_a_line(whole: bytes, sizes: list[int], pattern: str) -> None:
    """A regular expression sees one line at a time: ^ and $ are its ends, and nothing reaches over them."""
    expression = re.compile(pattern.replace(r"\z", r"\Z").replace("(?-m:^)", "^"))
    expected = []
    for position, _, line in lines_of(whole):
        found = expression.search(shown(line))
        if found:
            expected.append((position, found.start()))
    matches = Stored(cut(whole, sizes)).search(Query(None, pattern), limit=7)
    assert [(each.position, each.column) for each in matches] == expected


@given(WHOLE, SIZES, st.integers(1, 30))
@settings(max_examples=200, deadline=None)
def test_lines_are_found_by_number(whole: bytes, sizes: list[int], number: int) -> None:
    """A line's number leads to its first byte, and a byte to the number of its line."""
    stored = Stored(cut(whole, sizes))
    starts = [0, *(index + 1 for index, byte in enumerate(whole) if byte == 10)]
    expected = starts[number - 1] if number <= len(starts) else len(whole)
    assert stored.lookup().position(stored.run, Place(line=number)) == expected
    position = min(number, len(whole))
    assert stored.lookup().line(stored.run, position) == whole.count(b"\n", 0, position) + 1


@given(WHOLE, SIZES, st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_the_last_lines_are_found(whole: bytes, sizes: list[int], count: int) -> None:
    """The last N lines are what is left of the whole after all lines but N; a last line end begins no line."""
    stored = Stored(cut(whole, sizes))
    lines = whole.splitlines(keepends=True) if b"\r" not in whole else [
        line + b"\n" for line in whole.removesuffix(b"\n").split(b"\n")
    ]  # fmt: skip
    expected = b"".join(lines[max(0, len(lines) - count) :])
    start = stored.lookup().position(stored.run, Place(tail=count))
    assert whole[start:].removesuffix(b"\n") == expected.removesuffix(b"\n")


@given(WHOLE, SIZES, st.floats(-1, 30, allow_nan=False))
@settings(max_examples=200, deadline=None)
def test_a_moment_is_found(whole: bytes, sizes: list[int], moment: float) -> None:
    """A time leads to the beginning of the line that the first record from then on goes on with."""
    stored = Stored(cut(whole, sizes))
    data = [record for record in stored.records if record.data]
    first = next((record.start for record in data if record.time >= moment), len(whole))
    expected = whole.rfind(b"\n", 0, first) + 1
    assert stored.lookup().position(stored.run, Place(time=moment)) == expected


def test_places_in_a_huge_output_take_few_reads() -> None:
    """The last lines of 200,000 records are found without reading them all, also behind a hole of terabytes."""
    stored = Stored([*([b"line\n"] * 100), 1 << 42, *([b"line\n"] * 100), 1 << 40])
    assert stored.lookup().position(stored.run, Place(tail=10)) == stored.end - (1 << 40) - 50
    assert stored.lookup().line(stored.run, stored.end) == 204
    found = stored.lookup().search(stored.run, Query("line", None), backwards=True)
    assert len(found.matches) == 100
    assert len(stored.search(Query("ine", None), backwards=True)) == 200
    assert stored.reads < 1000


def test_a_search_does_not_reach_over_a_hole() -> None:
    """What stands before and after missing bytes is not one line, and both sides are found."""
    stored = Stored([b"first\nab", 1000, b"cd\nlast ab\n"])
    for backwards in (False, True):
        matches = stored.search(Query(None, "^cd|ab$"), backwards=backwards)
        assert sorted((each.position, each.line) for each in matches) == [(6, 2), (1008, 5), (1011, 6)]
        assert stored.search(Query("abcd", None), backwards=backwards) == []


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("place", [0, 10, PIECE_BYTES - OVERLAP_BYTES - 3, PIECE_BYTES - 3, 262_140, 999_000])
@pytest.mark.parametrize("ends", [b"", b"\n", b"\nnext needle\n"])
def test_a_huge_line_is_searched_in_pieces(place: int, backwards: bool, ends: bytes) -> None:
    """In a line of a megabyte the match is found once wherever it lies, with its line's number and the text around."""
    line = bytearray(("é" * 500_000).encode())
    place -= place % 2
    line[place : place + 6] = b"needle"
    whole = b"first\n" + line + ends
    matches = Stored(cut(whole, [65_535] * 5)).search(Query("needle", None), backwards=backwards)
    here = [each for each in matches if each.line == 2]
    assert len(here) == 1
    assert here[0].text[here[0].begins : here[0].ends] == "needle"
    assert len(matches) == (2 if b"next" in ends else 1)
    beginnings = Stored(cut(whole, [65_535] * 5)).search(Query(None, "^[én]"), backwards=backwards)
    assert sorted(each.position for each in beginnings)[0] == 6
    assert len(beginnings) == len(matches)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+b", "((a|b|aa){10}){20}z", "(a?){500}a{500}z", "(.*){50}x(.*){50}y"]
)
@pytest.mark.parametrize("backwards", [False, True])
def test_catastrophic_expressions_end(pattern: str, backwards: bool) -> None:
    """Patterns that take a backtracking matcher for ever are answered, page by page, on a line of a megabyte."""
    stored = Stored(cut(b"a" * 1_000_000 + b"\nb", [65_536] * 3))
    began = time.monotonic()
    found = stored.lookup(0.1).search(stored.run, Query(None, pattern), backwards=backwards)
    assert time.monotonic() - began < 20
    assert found.done or found.searched != (stored.end if backwards else 0)


def test_a_search_that_has_no_time_gets_on() -> None:
    """Each call searches a part, says up to where, and all calls together search everything."""
    stored = Stored(cut(b"needle in hay\n" * 100_000, [65_536] * 21))
    assert len(stored.search(Query("needle", None), seconds=0)) == 100_000
    assert not stored.lookup(0).search(stored.run, Query("x", None)).done


def test_a_search_ends_where_nobody_waits() -> None:
    """After a block the search looks whether somebody still waits for it."""
    stored = Stored(cut(b"hay\n" * 500_000, [65_536] * 30))
    found = stored.lookup().search(stored.run, Query("x", None), gone=lambda: True)
    assert not found.done
    assert found.searched < 1_000_000


@pytest.mark.parametrize(
    ("text", "pattern", "message"),
    [
        (None, None, "one of them"),
        ("a", "a", "one of them"),
        ("", None, "one of them"),
        ("a" * 1001, None, "at most 1000"),
        (None, "a" * 1_000_000, "at most 1000"),
        (None, "(a", r"no regular expression: missing \): \(a$"),
        (None, "*", "no regular expression"),
        (None, r"(a)\1", "no regular expression: invalid escape"),
        (None, "(?=a)", "no regular expression"),
        (None, r"(\pL{1,500}){2}", "no regular expression: .*too large|too large"),
        (None, "((a{9}){9}){9}((b{9}){9}){9}((c{9}){9}){9}", "too large"),
        ("\ud800", None, "half of a character"),
    ],
)
def test_wrong_queries_are_refused(text: str | None, pattern: str | None, message: str) -> None:
    """A query that cannot be answered is refused with the reason."""
    with pytest.raises(BadRequest, match=message):
        Query(text, pattern)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_wrong_limits_are_refused(limit: int) -> None:
    """A limit is from 1 to 1000."""
    stored = Stored([b"a\n"])
    with pytest.raises(BadRequest, match="limit"):
        stored.lookup().search(stored.run, Query("a", None), limit=limit)


@given(st.binary(max_size=3000).map(lambda data: data.replace(b"a", b"\n")), st.integers(0, 3000))
def test_newlines_are_counted(data: bytes, count: int) -> None:
    """The newline number N is the Nth one of all."""
    found = [-1, *(index for index, byte in enumerate(data) if byte == 10)]
    assert nth_newline(data, count) == (found[count] if count < len(found) else len(data))
