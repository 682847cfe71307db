"""Capture of threads that a run's threads start: each prints in its run, which ends with the last of them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.capturing import capture, capture_all, text


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


def test_a_thread_that_has_half_begun_is_waited_for() -> None:
    """One has its number before it lives; meanwhile its run starts another, and the code that started both ends."""
    numbered, go = threading.Event(), threading.Event()

    class Slow(threading.Thread):
        def _set_ident(self) -> None:
            super()._set_ident()  # type: ignore[misc] # what the interpreter's own thread does first
            numbered.set()
            go.wait(60)

    def start() -> None:
        Slow(target=print, args=("late",), daemon=False).start()

    def job() -> None:
        threading.Thread(target=start, daemon=True).start()
        numbered.wait(60)
        other = threading.Thread(target=print, args=("other",))
        other.start()
        other.join()
        threading.Timer(0.3, go.set).start()

    assert text(capture(job)) == "other\nlate\n"


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


def test_a_thread_that_begins_as_its_parent_is_stopped_belongs_to_the_run() -> None:
    """Whoever starts it is interrupted in waiting for its first step: its output counts, and its end is waited for."""

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            came = super().wait(timeout)
            if timeout is None:
                raise KeyboardInterrupt
            return came

    def work() -> None:
        time.sleep(0.2)
        print("done")

    def job() -> None:
        thread = threading.Thread(target=work)
        thread._started = Interrupted()  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt):
            thread.start()

    assert text(capture(job)) == "done\n"
