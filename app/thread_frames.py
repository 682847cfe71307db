"""The frames of other threads, looked at without what garbage collection does to that in releases of Python 3.11.

`sys._current_frames` holds a lock of the interpreter while it makes frame objects. Where that begins a collection, and
a finalizer passes the interpreter on to a thread that starts or ends, both wait for ever, and with them the whole
process (CPython's issue 106883). And a thread that leaves a frame which somebody else has hold of makes objects in the
midst of that: a collection that began there has been seen to crash the process. Later versions collect at other places.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_guard = threading.Lock()
_holders = 0
_was_on = False


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection in any thread, until the last of those who are within has left; `sys._current_frames` is safe."""
    global _holders, _was_on  # noqa: PLW0603 - there is one collector
    with _guard:
        if not _holders:
            # A job may have switched it off: then it stays off.
            _was_on = gc.isenabled()
            gc.disable()
        _holders += 1
    try:
        yield
    finally:
        with _guard:
            _holders -= 1
            if not _holders and _was_on:
                gc.enable()


def current_frames() -> dict[int, FrameType]:
    """The innermost frame of each thread, by the thread's ident."""
    with uncollected():
        return sys._current_frames()
