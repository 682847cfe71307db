"""A run's two pipes: what came on both before anybody looked."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from app.model import Stream
from app.supervise.outputs import Pair, Waits

OUT, ERR = Stream.OUT, Stream.ERR


@pytest.fixture
def pipes() -> Iterator[tuple[Pair, int, int]]:
    """A pair, and the descriptors that a run would write to."""
    (out, to_out), (err, to_err) = os.pipe(), os.pipe()
    pair = Pair((out, err), Waits())
    yield pair, to_out, to_err
    pair.close()
    os.close(to_out)
    os.close(to_err)


@pytest.mark.parametrize(
    ("out", "err", "expected"),
    [
        (b"a\n", b"", [(OUT, b"a\n")]),
        (b"", b"e\n", [(ERR, b"e\n")]),
        (b"a\n", b"e\n", [(OUT, b"a\n"), (ERR, b"e\n")]),
        (b"a\nprompt> ", b"e\n", [(OUT, b"a\n"), (ERR, b"e\n"), (OUT, b"prompt> ")]),
        (b"prompt> ", b"e", [(ERR, b"e"), (OUT, b"prompt> ")]),
        (b"prompt> ", b"", [(OUT, b"prompt> ")]),
    ],
)
def test_stderr_goes_into_no_line(
    pipes: tuple[Pair, int, int], out: bytes, err: bytes, expected: list[tuple[Stream, bytes]]
) -> None:
    """Whole lines of stdout first, and its unfinished one last."""
    pair, to_out, to_err = pipes
    os.write(to_out, out)
    os.write(to_err, err)
    assert pair.take(1000) == expected
