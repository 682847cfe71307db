"""Looking at the frames of all threads harms nobody, however busy the garbage collector is."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading

import pytest

from app.thread_frames import current_frames, uncollected

# Python 3.11's own `sys._current_frames` ends this in a deadlock within a second.
BUSY = """
    import gc, sys, threading, time
    from app.thread_frames import current_frames

    class Cycle:
        def __init__(self):
            self.me = self
        def __del__(self):
            time.sleep(0)

    def litter():
        while True:
            Cycle()
            time.sleep(0.0005)

    def start_threads():
        while True:
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
            time.sleep(0.0005)

    for target in (*[litter] * 5, start_threads):
        threading.Thread(target=target, daemon=True).start()
    gc.set_threshold(20)
    for _ in range(5000):
        assert threading.get_ident() in current_frames()
        time.sleep(0)
    print("looked", flush=True)
    import os
    os._exit(0)
"""


def test_a_look_and_a_collection_never_wait_for_each_other() -> None:
    """A process whose threads start, end and leave cycles with slow finalizers can be looked at all the time."""
    command = [sys.executable, "-c", textwrap.dedent(BUSY)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout == "looked\n", done.stderr


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_stays_as_it_was(on: bool) -> None:
    """Whoever switched it off finds it off."""
    (gc.enable if on else gc.disable)()
    try:
        current_frames()
        assert gc.isenabled() is on
    finally:
        gc.enable()


def test_the_collector_is_off_until_the_last_look_is_over() -> None:
    """Who is still looking is not harmed by somebody else's being done."""
    inside, go = threading.Event(), threading.Event()

    def look() -> None:
        with uncollected():
            inside.set()
            go.wait(10)

    thread = threading.Thread(target=look)
    with uncollected():
        thread.start()
        assert inside.wait(10)
    assert not gc.isenabled()
    go.set()
    thread.join()
    assert gc.isenabled()
