"""The async stack: what hub code waits for comes, whatever was closed before."""

from __future__ import annotations

import contextlib
import os

from app.stack import Stack


def test_a_number_that_was_closed_under_somebody_is_good_again(stack: Stack) -> None:
    """Who waits on a descriptor that is closed does not hold up the next one of the same number."""
    reader, writer = os.pipe()

    def wait() -> None:
        # As sockets do, it may hear that it was closed.
        with contextlib.suppress(OSError):
            stack.wait_readable(reader)

    stack.spawn(wait)
    stack.sleep(0.05)
    os.close(reader)
    # Whatever lower number is free is taken: so the next pipe has this one.
    taken = [os.dup(writer)]
    while taken[-1] != reader:
        taken.append(os.dup(writer))
    os.close(taken.pop())
    assert [stack.call_in_thread(lambda: 42) for _ in range(3)] == [42] * 3
    for each in (*taken, writer):
        os.close(each)
