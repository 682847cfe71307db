"""The pipe processor: takes a run's output from its pipe, in the hub, and hands it to the recorder until the end."""

from __future__ import annotations

from collections.abc import Callable

from app.capture.pipe import Pipe
from app.model import Stream
from app.stack import Stack

TAKE_BYTES = 524_288
# With other runs beside it: what one of them prints in silence waits for no more than this.
SHARED_BYTES = 65_536
FLOOD_BYTES = 65_536
FLOOD_SECONDS = 0.002


def pipe_processor(
    pipe: Pipe,
    record: Callable[[list[tuple[Stream, bytes]]], None],
    stack: Stack,
    alone: Callable[[], bool] = lambda: True,
) -> None:
    """Record everything that comes out of `pipe`, until it is closed and empty.

    It takes larger pieces while the run is `alone` in the process, which is faster, and smaller ones beside others.
    After much output it lets others run and more come together; after little it waits for the doorbell, so that a line
    after silence is recorded at once.
    """
    while True:
        limit = TAKE_BYTES if alone() else SHARED_BYTES
        pieces = pipe.take(limit)
        if pieces:
            record(pieces)
            if pipe.waiting or sum(len(data) for _, data in pieces) > FLOOD_BYTES:
                stack.sleep(0 if pipe.waiting > limit else FLOOD_SECONDS)
        elif pipe.closed:
            pipe.dispose()
            return
        else:
            pipe.wait(stack)
