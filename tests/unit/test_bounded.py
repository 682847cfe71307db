"""A flood never waits as a whole in memory, whether or not anybody takes it away in time."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from app.capture import Capture, Pieces, PipeProcessor, bind, install
from app.capture.flusher import Flusher
from app.capture.router import current
from app.capture.writer import MOST_PIECES
from app.model import Stream
from app.stack import ThreadingStack
from tests.unit.capturing import Source, capture, store_all

LINES = 200_000
WHOLE = b"".join(b"%099d\n" % number for number in range(LINES))


class Absent(Flusher):
    """A flusher that never comes."""

    def _work(self) -> None:
        return


def _data(pieces: Pieces) -> bytes:
    return b"".join(data for _, data in pieces)


def _run_with(flusher: Flusher, limit: int, job: object) -> Pieces:
    install()
    processor: PipeProcessor[Source, Pieces] = PipeProcessor(ThreadingStack(), store_all)
    source = Source(processor, limit)
    processor.add(source)

    def main() -> None:
        run = Capture(source.pipe, flusher)
        bind(run)
        try:
            job()  # type: ignore[operator]
        finally:
            run.close()
            bind(None)

    thread = threading.Thread(target=main)
    thread.start()
    thread.join(60)
    assert source.ended.wait(60)
    return source.pieces


def test_a_flood_is_bounded_though_nobody_takes_it_away() -> None:
    """Without any visit of the flusher 20 MB go through 64 KiB, and what waits is never more than that and a chunk."""
    waiting: list[int] = []

    def job() -> None:
        run = current()
        assert run is not None
        for number in range(LINES):
            print(f"{number:099d}")
            if number % 100 == 0:
                waiting.append(run.pipe.waiting + sum(map(len, run._writers[0].pieces)))

    assert _data(_run_with(Absent(), 65_536, job)) == WHOLE
    assert max(waiting) < 4 * 65_536


def test_a_job_that_lets_go_of_the_lock_all_the_time_is_bounded() -> None:
    """A job that reads as it prints starves the flusher; it may be surprised once, and takes no chance after that."""
    most: list[int] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    try:

        def job() -> None:
            run = current()
            assert run is not None
            with open(__file__, "rb") as file:
                for number in range(LINES):
                    print(f"{number:099d}")
                    if number % 50 == 0:
                        os.pread(file.fileno(), 100, 0)
                        most.append(len(run._writers[0].pieces))

        assert _data(capture(job, limit=1_048_576)) == WHOLE
    finally:
        sys.setswitchinterval(before)
    late = next((at for at, count in enumerate(most) if count > MOST_PIECES), len(most))
    # After the first surprise is over, there is none.
    over = next((at for at in range(late, len(most)) if most[at] < MOST_PIECES), len(most))
    assert max(most[over:], default=0) < MOST_PIECES


def test_both_ways_keep_the_order_of_what_is_written() -> None:
    """Floods, silences, `sys.stdout.write` and objects that print themselves, over and over: nothing changes places."""

    class Loud:
        def __init__(self, number: int) -> None:
            self.number = number

        def __str__(self) -> str:
            return f"{self.number:05d}"

    def job() -> None:
        number = 0
        for turn in range(40):
            for _ in range(3000):
                if number % 7 == 0:
                    sys.stdout.write(f"{number:05d}\n")
                elif number % 11 == 0:
                    print(Loud(number))
                else:
                    print(f"{number:05d}", end="\n")
                number += 1
            time.sleep(0.02 if turn % 4 == 0 else 0.001)

    pieces = capture(job, limit=65_536)
    assert _data(pieces).split() == [b"%05d" % number for number in range(120_000)]
    assert {stream for stream, _ in pieces} == {Stream.OUT}


def _three_threads() -> None:
    def lines(name: int) -> None:
        for number in range(120_000):
            print(f"{name}:{number:07d}")

    threads = [threading.Thread(target=lines, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_lines_of_threads_stay_whole_however_long_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that stands still for seconds holds three threads up in the midst of lines, which stay whole."""
    # In the bounded stream a chunk nearly always ends within a line.
    monkeypatch.setattr("app.capture.writer.TIMELY_VISITS", 1_000_000)
    pieces: list[bytes] = []

    def store(taken: Pieces) -> None:
        pieces.extend(data for _, data in taken)
        if len(pieces) % 8 == 3:
            time.sleep(1.5)

    capture(_three_threads, limit=65_536, store=store)
    said = b"".join(pieces).decode().split("\n")
    assert said.pop() == ""
    for name in range(3):
        assert [line for line in said if line[:1] == str(name)] == [f"{name}:{number:07d}" for number in range(120_000)]
    assert len(said) == 360_000
