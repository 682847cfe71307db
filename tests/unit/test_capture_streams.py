"""Capture where code puts something in the place of stdout, closes it, or writes what it does not take."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
from typing import TextIO

import pytest
from rich.console import Console
from rich.progress import Progress

from tests.unit.capturing import capture, capture_all, text


def test_redirecting_stdout_concerns_one_run_alone() -> None:
    """contextlib.redirect_stdout and sys.stdout = x in one run leave the other run's output alone."""
    both = threading.Barrier(2)

    def job(name: str) -> None:
        buffer = io.StringIO()
        with contextlib.redirect_stdout(buffer):
            print("hidden", name)
            both.wait(10)
            sys.stdout.write("more\n")
        print("shown", name, repr(buffer.getvalue()))

    first, second = capture_all([lambda: job("a"), lambda: job("b")])
    assert text(first) == "shown a 'hidden a\\nmore\\n'\n"
    assert text(second) == "shown b 'hidden b\\nmore\\n'\n"


def test_closing_stdout_ends_printing_in_that_run_only() -> None:
    """After sys.stdout.close() print raises as in any script; stderr still works, and so does the next run."""

    def job() -> None:
        print("before")
        sys.stdout.close()
        assert sys.stdout.closed
        with pytest.raises(ValueError, match="closed"):
            print("after")
        print("still", file=sys.stderr)

    assert text(capture(job)) == "before\nstill\n"
    assert text(capture(lambda: print("next"))) == "next\n"


def test_bytes_come_after_the_text_before_them() -> None:
    """sys.stdout.buffer takes any bytes, in order with print."""

    def job() -> None:
        print("text")
        sys.stdout.buffer.write(b"\xff\x00\x1b")
        print("more")

    assert b"".join(data for _, data in capture(job)) == b"text\n\xff\x00\x1bmore\n"


def test_wrong_things_written_are_refused_as_always() -> None:
    """Writing bytes to the text stream is a TypeError, and fileno says that there is none."""

    def job() -> None:
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")  # type: ignore[arg-type]
        with pytest.raises(io.UnsupportedOperation):
            sys.stdout.fileno()
        assert not sys.stdout.isatty()
        assert sys.stdout.encoding == "utf-8"
        sys.stdout.writelines(["a\n", "b\n"])
        print("lone surrogate \udc80")

    assert text(capture(job)) == "a\nb\nlone surrogate \\udc80\n"


class Tee:
    """What scripts put in the place of sys.stdout to write to two places."""

    def __init__(self, first: TextIO, second: TextIO) -> None:
        self.first, self.second = first, second

    def write(self, text: str) -> int:
        """Write to both."""
        self.second.write(text)
        return self.first.write(text)

    def flush(self) -> None:
        """Flush both."""
        self.first.flush()
        self.second.flush()


@pytest.mark.parametrize("found", ["stdout", "__stdout__"])
def test_a_tee_writes_to_the_output_and_not_to_itself(found: str) -> None:
    """What a run finds as sys.stdout is its own output, also for something that it puts in the place of it."""
    copies: list[str] = []

    def job() -> None:
        old, copy = sys.stdout, io.StringIO()
        sys.stdout = Tee(getattr(sys, found), copy)
        print("both")
        sys.stdout.flush()
        sys.stdout = old
        print("one")
        copies.append(copy.getvalue())

    assert text(capture(job)) == "both\none\n"
    assert copies == ["both\n"]


@pytest.mark.parametrize("redirect", [True, False])
def test_the_progress_of_rich_is_drawn(redirect: bool) -> None:
    """rich.progress, which puts a proxy in the place of both streams, draws its bar and comes to its end."""

    def job() -> None:
        console = Console(force_terminal=True, width=60)
        bar = Progress(console=console, refresh_per_second=50, redirect_stdout=redirect, redirect_stderr=redirect)
        with bar as progress:
            for number in progress.track(range(5), description="Working"):
                print("line", number)
                time.sleep(0.03)
        print("after")

    output = text(capture(job))
    assert "Working" in output
    assert "100%" in output
    assert [line for line in output.splitlines() if "line 4" in line]
    assert output.endswith("after\n")
