"""An exception in a running thread: raised where it harms nobody else, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.capture import Capture, PipeProcessor, install
from app.catalog import Job
from app.executors import interrupt
from app.executors.flask_thread import FlaskThread
from app.model import Status
from app.stack import SWITCH_SECONDS, ThreadingStack
from tests.unit.capturing import Source, store_all, text
from tests.waiting import wait_until

AT_ONCE, ROUNDS = 32, 5
AGAIN_SECONDS = 2
log = logging.getLogger("tests.interrupt")
log.propagate = False
# Writes to what `sys.stderr` is to the calling thread.
log.addHandler(logging.lastResort or logging.NullHandler())


class Victim:
    """A run's thread that runs `work`, and what it prints."""

    def __init__(self, processor: PipeProcessor[Any, Any], work: Callable[..., object], **arguments: object) -> None:
        self.source = Source(processor)
        job = Job("victim", "Victim", "", work)
        self.thread = FlaskThread(job, arguments, Capture(self.source.pipe))
        processor.add(self.source)
        self.thread.start()

    def offer(self, times: float = 1) -> None:
        """Raise in its threads where that may be, unless it came so often already."""
        for each in self.thread.threads():
            if interrupt.arrived(each) < times:
                interrupt.raise_in(each, self.thread.capture)

    def wait(self) -> str:
        """Wait for the end; all that it printed."""
        self.thread.join(30)
        assert not self.thread.is_alive()
        assert self.source.ended.wait(30)
        return text(self.source.pieces)


@pytest.fixture
def start() -> Iterator[Callable[..., Victim]]:
    """A function that starts a victim."""
    install()
    # As the web server has it.
    sys.setswitchinterval(SWITCH_SECONDS)
    processor: PipeProcessor[Any, Any] = PipeProcessor(ThreadingStack(), store_all)
    victims: list[Victim] = []

    def start_(work: Callable[..., object], **arguments: object) -> Victim:
        victims.append(Victim(processor, work, **arguments))
        return victims[-1]

    yield start_
    for each in victims:
        each.thread.stop()
        wait_until(lambda each=each: each.offer() or not each.thread.is_alive(), pause=0.001)  # type: ignore[misc]


def stop(*victims: Victim) -> None:
    """Press Stop, and raise in all of them at once, each as soon as that may be.

    A finalizer that the interpreter calls in between takes an exception away, so it comes again after a while.
    """
    for each in victims:
        each.thread.stop()
    began = time.monotonic()

    def all_ended() -> bool:
        for each in victims:
            if each.thread.is_alive():
                each.offer(1 + (time.monotonic() - began) // AGAIN_SECONDS)
        return not any(each.thread.is_alive() for each in victims)

    wait_until(all_ended, seconds=60, pause=0.001)


def once() -> None:
    """Print and log a line."""
    print("printed")
    log.warning("logged")


def printing() -> None:
    """Print numbers."""
    number = 0
    while True:
        print(number)
        number += 1


def flushing() -> None:
    """Print numbers, each at once."""
    number = 0
    while True:
        print(number, flush=True)
        number += 1
        time.sleep(0)


def logging_() -> None:
    """Log numbers."""
    number = 0
    while True:
        log.warning("%d", number)
        number += 1


def sleeping() -> None:
    """Sleep, and print."""
    number = 0
    while True:
        time.sleep(0.002)
        print(number)
        number += 1


def waiting() -> None:
    """Wait for what does not come, and log."""
    number = 0
    while True:
        try:
            queue.Queue[int]().get(timeout=0.002)
        except queue.Empty:
            log.warning("%d", number)
            number += 1


WORKS = (printing, flushing, logging_, sleeping, waiting)


def test_hundreds_of_stops_leave_no_lock_held_and_lose_no_output(
    start: Callable[..., Victim], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the stopped threads were at, afterwards others print and log, and what was printed is there."""
    # What arrives in a finalizer is told by this, which in a server is C code; that of pytest may be stopped in turn.
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    for _ in range(ROUNDS):
        victims = [start(WORKS[number % len(WORKS)]) for number in range(AT_ONCE)]
        time.sleep(0.1)
        stop(*victims)
        for each in victims:
            # The last line may be cut, and then comes what Python says of the exception.
            output = each.wait()
            assert interrupt.arrived(each.thread) >= 1
            assert each.thread.outcome.status is Status.STOPPED
            lines = re.split("Traceback|Exception ignored", output)[0].split("\n")[:-1]
            assert lines == [str(number) for number in range(len(lines))]
        assert start(once).wait() == "printed\nlogged\n"


def test_it_waits_while_a_lock_of_logging_is_held(start: Callable[..., Victim]) -> None:
    """A thread that is within a handler is let alone, however often it is tried."""
    go = threading.Event()

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print("emitting", flush=True)
            while not go.is_set():
                time.sleep(0.001)

    slow = logging.getLogger("tests.interrupt.slow")
    slow.propagate = False
    handler = Slow()
    slow.addHandler(handler)

    def work() -> None:
        while True:
            slow.warning("x")

    victim = start(work)
    wait_until(lambda: victim.source.pieces)
    assert not any(interrupt.raise_in(victim.thread, victim.thread.capture) for _ in range(200))
    go.set()
    stop(victim)
    assert "emitting" in victim.wait()
    assert handler.lock is not None
    assert handler.lock.acquire(timeout=10)


def test_it_never_reaches_a_thread_of_another_run_or_of_none(start: Callable[..., Victim]) -> None:
    """Only what runs for the run's own capture is hit."""
    one, other = start(printing), start(printing)
    free = threading.Thread(target=time.sleep, args=(1,))
    free.start()
    for _ in range(50):
        assert not interrupt.raise_in(other.thread, one.thread.capture)
        assert not interrupt.raise_in(free, one.thread.capture)
        assert not interrupt.raise_in(threading.main_thread(), one.thread.capture)
    stop(one, other)
    free.join()


def test_a_thread_that_is_over_gets_none(start: Callable[..., Victim]) -> None:
    """One that has ended, or was never started, is left as it is."""
    victim = start(lambda: print("over"))
    assert victim.wait() == "over\n"
    assert not interrupt.raise_in(victim.thread, victim.thread.capture)
    assert not interrupt.raise_in(threading.Thread(), victim.thread.capture)


def test_what_waits_in_c_code_is_hit_as_it_returns_or_let_off(start: Callable[..., Victim]) -> None:
    """The exception waits with the thread; taken back, it does not come; the interpreter is as fast as before."""

    def work(seconds: float) -> None:
        print("begun", flush=True)
        time.sleep(seconds)
        print("woke", flush=True)

    hit, spared = start(work, seconds=4), start(work, seconds=4)
    for each in (hit, spared):
        wait_until(lambda each=each: each.source.pieces)  # type: ignore[misc]
    time.sleep(0.5)  # what they print is seen before `print` has come back
    for each in (hit, spared):
        assert interrupt.raise_in(each.thread, each.thread.capture)
    interrupt.withdraw(spared.thread)
    assert "woke" not in hit.wait()
    assert spared.wait() == "begun\nwoke\n"
    assert not interrupt._armed


def test_what_waits_in_c_code_that_fails_ends_with_its_run(start: Callable[..., Victim]) -> None:
    """The call that was waited for raises at the end of its time: the run ends, with what it printed."""
    victim = start(lambda: (print("begun", flush=True), queue.SimpleQueue[str]().get(timeout=4)))
    wait_until(lambda: victim.source.pieces)
    time.sleep(0.5)
    assert interrupt.raise_in(victim.thread, victim.thread.capture)
    assert victim.wait().startswith("begun\n")
    assert victim.thread.outcome.status is Status.FAILED
    assert not interrupt._armed


@pytest.mark.parametrize("early", [True, False])
def test_a_stop_that_is_passed_on_again_cancels_once(start: Callable[..., Victim], early: bool) -> None:
    """An async job may take its time for cleaning up, however often its node hears of the Stop."""
    ready, begun = threading.Event(), threading.Event()

    async def work() -> None:
        try:
            print("begun", flush=True)
            await asyncio.sleep(600)
        finally:
            await asyncio.to_thread(ready.wait, 60)
            print("cleaned up", flush=True)

    async def late() -> None:
        begun.wait(60)
        victim.thread.stop()
        await work()

    victim = start(late if early else work)
    begun.set()
    wait_until(lambda: victim.source.pieces)
    for _ in range(3):
        victim.thread.stop()
        time.sleep(0.1)
    ready.set()
    assert victim.wait() == "begun\ncleaned up\n"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_child_thread_and_a_task_are_hit(start: Callable[..., Victim]) -> None:
    """A child in a loop, and a loop of asyncio that waits for nothing but time."""

    def parent() -> None:
        child = threading.Thread(target=printing)
        child.start()
        child.join()

    async def wait() -> None:
        print("begun", flush=True)
        try:
            await asyncio.sleep(600)
        finally:
            print("cleaned up", flush=True)

    victims = [start(parent), start(lambda: asyncio.run(wait()))]
    for each in victims:
        wait_until(lambda each=each: each.source.pieces)  # type: ignore[misc]
    # Until the task waits: what stops it on its way there may stop its cleaning up, too.
    time.sleep(0.3)
    stop(*victims)
    assert "cleaned up" in victims[1].wait()
