"""A job that fails, in a way of your choice."""

from __future__ import annotations

import sys
from enum import Enum
from threading import Thread
from typing import Annotated

from app.catalog import job


class Way(Enum):
    """How the job ends."""

    EXCEPTION = "an exception"
    CAUSE = "an exception with a cause"
    EXIT_CODE = "sys.exit(3)"
    EXIT_TEXT = "sys.exit with a text"
    RECURSION = "endless recursion"
    THREAD = "an exception in a child thread"
    CLOSED = "closes its stdout first"


@job(title="Fail in a chosen way")
def fails(way: Annotated[Way, "What goes wrong."] = Way.EXCEPTION):
    """Fails, to show what a failure looks like.

    The traceback is part of the output, and the run's status is `failed`. An exception in a child thread shows its
    traceback too, but the job itself succeeds, as a script would.
    """
    print(f"Going to end by {way.value} ...")
    if way is Way.EXIT_CODE:
        sys.exit(3)
    if way is Way.EXIT_TEXT:
        sys.exit("There is nothing to do.")
    if way is Way.RECURSION:
        recurse()
    if way is Way.THREAD:
        child = Thread(target=divide, args=(1, 0))
        child.start()
        child.join()
        return
    if way is Way.CAUSE:
        try:
            divide(1, 0)
        except ZeroDivisionError as error:
            raise ValueError("the figures cannot be right") from error
    if way is Way.CLOSED:
        sys.stdout.close()
    divide(1, 0)


def divide(a, b):
    """The quotient of `a` and `b`."""
    return a / b


def recurse():
    """Never comes back."""
    return recurse()
