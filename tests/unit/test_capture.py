"""Capture: each line in its own run's output, whole and in order, whatever thread or means printed it."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from app.model import Stream
from tests.unit.capturing import capture, capture_all, text


def test_a_flood_arrives_complete_and_in_order() -> None:
    """Two hundred thousand lines come out as they were printed."""

    def job() -> None:
        for number in range(200_000):
            print(number)

    assert text(capture(job)) == "".join(f"{number}\n" for number in range(200_000))


def test_stdout_and_stderr_keep_their_order() -> None:
    """Lines that alternate between the two streams are in the order of printing, each marked with its stream."""

    def job() -> None:
        for number in range(500):
            print("out", number)
            print("err", number, file=sys.stderr)

    pieces = capture(job)
    assert text(pieces) == "".join(f"out {n}\nerr {n}\n" for n in range(500))
    assert text(pieces, Stream.ERR) == "".join(f"err {n}\n" for n in range(500))


def test_lines_of_four_threads_are_never_broken() -> None:
    """Four threads print at once: every line is whole, and each thread's lines are in order."""

    def work(name: str) -> None:
        for number in range(20_000):
            print(name, number, sep="-", end="\n")

    def job() -> None:
        for name in "abcd":
            threading.Thread(target=work, args=(name,)).start()

    lines = text(capture(job)).splitlines()
    for name in "abcd":
        assert [line for line in lines if line.startswith(name)] == [f"{name}-{n}" for n in range(20_000)]
    assert len(lines) == 80_000


def test_twenty_runs_at_once_each_get_their_own_lines() -> None:
    """Twenty runs print 5,000 lines each from main and child threads: none is lost or misplaced."""

    def job(name: int) -> None:
        def child(part: int) -> None:
            for number in range(1250):
                print(f"{name}.{part}.{number}")

        threads = [threading.Thread(target=child, args=(part,)) for part in range(3)]
        for thread in threads:
            thread.start()
        child(3)
        for thread in threads:
            thread.join()

    results = capture_all([lambda name=name: job(name) for name in range(20)])  # type: ignore[misc]
    for name, pieces in enumerate(results):
        expected = sorted(f"{name}.{part}.{number}" for part in range(4) for number in range(1250))
        assert sorted(text(pieces).splitlines()) == expected


def test_nothing_of_a_run_reaches_the_console(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's own stdout and stderr stay empty, also for sys.__stdout__ and a child thread's traceback."""
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)

    def job() -> None:
        print("out")
        print("err", file=sys.stderr)
        print("dunder", file=sys.__stdout__)
        threading.Thread(target=lambda: 1 / 0).start()

    output = text(capture(job))
    assert "dunder\n" in output
    assert "ZeroDivisionError" in output
    assert capfd.readouterr() == ("", "")


def test_the_console_gets_what_no_run_prints(capfd: pytest.CaptureFixture[str]) -> None:
    """A thread without a run prints to the server's console."""
    capture(lambda: None)
    print("server")
    assert "server" in capfd.readouterr().out


def test_a_last_line_without_newline_and_a_huge_line_come_whole() -> None:
    """A line of 10 MB and an unfinished last line arrive to the byte."""

    def job() -> None:
        print("x" * 10_000_000)
        print("ende", end="")

    assert text(capture(job)) == "x" * 10_000_000 + "\nende"


def test_an_unfinished_line_is_seen_before_it_ends() -> None:
    """A prompt without newline reaches the hub while the job waits."""
    seen: list[str] = []

    def job() -> None:
        from app.capture.router import current

        print("Password: ", end="")
        run = current()
        deadline = time.monotonic() + 5
        while run is not None and not run.pipe._put_bytes and time.monotonic() < deadline:
            time.sleep(0.005)
        seen.append("yes" if run is not None and run.pipe._put_bytes == 10 else "no")

    assert text(capture(job)) == "Password: "
    assert seen == ["yes"]


def test_a_full_pipe_holds_the_job_and_loses_nothing() -> None:
    """With room for 64 KiB only and a slow store, a flood of 40 MB arrives whole, and never waits as a whole."""
    waiting: list[int] = []
    pieces: list[bytes] = []

    def store(taken: list[tuple[Stream, bytes]]) -> None:
        pieces.extend(data for _, data in taken)
        time.sleep(0.002)

    def job() -> None:
        from app.capture.router import current

        run = current()
        for number in range(400_000):
            print(f"{number:099d}")
            if run is not None and number % 100 == 0:
                waiting.append(run.pipe.waiting)

    capture(job, limit=65_536, store=store)
    assert b"".join(pieces) == b"".join(b"%099d\n" % number for number in range(400_000))
    # How much comes between two visits of the flusher depends on the machine; held back is the rest.
    assert max(waiting) < 20_000_000
