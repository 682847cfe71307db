"""Capture: each line in its own run's output, whole and in order, whatever thread or means printed it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TextIO

import pytest
from rich.console import Console
from rich.progress import Progress

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


def test_a_thread_that_was_joined_printed_before_what_follows() -> None:
    """What one thread printed before it handed over comes before what the next one prints."""

    def job() -> None:
        for number in range(200):
            print("before", number)
            thread = threading.Thread(target=print, args=("child", number))
            thread.start()
            thread.join()
            print("after", number)

    assert text(capture(job)) == "".join(f"before {n}\nchild {n}\nafter {n}\n" for n in range(200))


def test_pools_tasks_and_logging_are_captured() -> None:
    """A thread pool, asyncio tasks, asyncio.to_thread and logging print into the run's output."""
    logger = logging.getLogger("tests.capture")

    async def tasks() -> None:
        async def one(number: int) -> None:
            await asyncio.sleep(0)
            print("task", number)

        await asyncio.gather(*(one(number) for number in range(3)))
        await asyncio.to_thread(print, "to_thread")

    def job() -> None:
        handler = logging.StreamHandler()
        logger.addHandler(handler)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda number: print("pool", number), range(3)))
        asyncio.run(tasks())
        logger.warning("logged")
        logger.removeHandler(handler)

    lines = text(capture(job)).splitlines()
    assert sorted(lines) == sorted([f"pool {n}" for n in range(3)] + [f"task {n}" for n in range(3)]
                                   + ["to_thread", "logged"])  # fmt: skip


def test_a_pool_shared_by_two_runs_prints_for_who_asked() -> None:
    """A pool's thread that one run made prints for another run while it works for that one."""
    pool = ThreadPoolExecutor(1)

    def job(name: str) -> None:
        for _ in range(50):
            pool.submit(print, name).result()

    with pool:
        first, second = capture_all([lambda: job("first"), lambda: job("second")])
    assert text(first) == "first\n" * 50
    assert text(second) == "second\n" * 50


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


def test_the_run_ends_with_its_last_grandchild() -> None:
    """Threads that threads start late, after the job's function has returned, are waited for as well."""

    def deeper(level: int) -> None:
        time.sleep(0.02)
        print("level", level)
        if level:
            threading.Thread(target=deeper, args=(level - 1,), daemon=False).start()

    def job() -> None:
        threading.Thread(target=deeper, args=(5,), daemon=False).start()

    assert text(capture(job)) == "".join(f"level {level}\n" for level in range(5, -1, -1))


def test_a_thread_that_failed_to_start_holds_nothing_up() -> None:
    """A thread object that never runs does not keep its run from ending."""

    def job() -> None:
        thread = threading.Thread(target=print, args=("once",))
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError):
            thread.start()

    assert text(capture(job)) == "once\n"


def test_a_thread_that_could_not_be_had_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system grants no thread, the run goes on and ends."""
    name = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"

    grant = getattr(threading, name)

    def job() -> None:
        refused = threading.get_ident()

        def refuse(*args: object, **options: object) -> object:
            if threading.get_ident() == refused:
                raise RuntimeError("can't start new thread")
            return grant(*args, **options)

        thread = threading.Thread(target=print)
        with monkeypatch.context() as patch:
            patch.setattr(threading, name, refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                thread.start()
        print("on")

    assert text(capture(job)) == "on\n"
