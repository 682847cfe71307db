"""The frames of all threads, read without the deadlock that this has in releases of Python 3.11.

`sys._current_frames` holds a lock of the interpreter while it makes frame objects. Where that begins a garbage
collection, and a finalizer passes the interpreter on to a thread that starts or ends, both wait for ever, and with them
the whole process (CPython's issue 106883). Later versions collect at other places.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import call
from types import FrameType
from typing import Any

_GUARDED = (gc.disable, sys._current_frames, gc.enable)
_UNGUARDED = (bool, sys._current_frames, bool)


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection in any thread meanwhile.

    A thread that leaves a frame which somebody else has hold of makes objects in the midst of that, and a collection
    that began there has been seen to crash Python 3.11.
    """
    on = gc.isenabled()
    if on:
        gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def steps() -> tuple[Callable[[], Any], ...]:
    """What to call for the frames, which are the second one's answer.

    To be called by C code in one go, as in `_, frames, _ = map(call, steps())`: with no bytecode between them no other
    thread collects, and nobody sees the collector off.
    """
    # A job may have switched it off: then it stays off.
    return _GUARDED if gc.isenabled() else _UNGUARDED


def current_frames() -> dict[int, FrameType]:
    """The innermost frame of each thread, by the thread's ident."""
    frames: dict[int, FrameType]
    _, frames, _ = map(call, steps())
    return frames
