"""Plain text: output without its control sequences, however it was cut."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from app.plain import PlainText, is_plain, plain

SEQUENCES = ["a", "é", "\n", "\r\n", "\x1b[31m", "\x1b[38;5;1m", "\x1b]0;title\x07", "\x1b]8;;url\x1b\\", "\x1b(B",
             "\x1b", "[1", "\x07", "\x00", "\x9b1m", "\x85", "\t", "\r", "\x1b[", "]x"]  # fmt: skip


@given(st.lists(st.sampled_from(SEQUENCES), max_size=40), st.integers(1, 5))
@settings(max_examples=300, deadline=None)
def test_plain_text_comes_out_alike_in_pieces(parts: list[str], size: int) -> None:
    """However text is cut, what is left of it is the same, has no control characters, and as many lines."""
    whole = "".join(parts)
    stream = PlainText()
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    text = "".join(stream.take(piece.encode()) for piece in pieces) + stream.end()
    assert text == plain(whole)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)
    assert text.count("\n") == whole.count("\n")
    assert not is_plain(whole.encode()) or text == whole


def test_nothing_that_is_shown_is_swallowed() -> None:
    """A sequence that never ends takes its ESC alone with it."""
    assert plain("a\x1b]0;never ends\nb\x1b[12\nc\x1bPq" + "x" * 5000) == "a0;never ends\nb12\ncq" + "x" * 5000
    assert plain("\x1b[31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\") == "red link"


def test_a_huge_unfinished_line_is_passed_on() -> None:
    """Plain text does not wait for a line's end without bound."""
    stream = PlainText()
    assert len(stream.take(b"x" * 100_000)) == 100_000
