"""What a measurement checks: a figure of output that is not complete and in order is worth nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


class Wrong(Exception):
    """What was measured did not do what it should: there is no figure."""


def check(fine: object, text: str) -> None:
    """Raises: Wrong with `text` unless `fine`."""
    if not fine:
        raise Wrong(text)


def check_numbers(text: str, count: int, width: int = 0, what: str = "the output") -> None:
    """Raises: Wrong unless `text` is the lines 0 to `count` - 1, complete, whole and in order."""
    expected = "".join([f"{number:0{width}d}\n" for number in range(count)])
    if text != expected:
        place = next((at for at, (a, b) in enumerate(zip(text, expected, strict=False)) if a != b), len(text))
        raise Wrong(
            f"{what}: {len(text)} characters instead of {len(expected)}, wrong from {place} on: "
            f"{text[max(0, place - 20) : place + 40]!r}"
        )


def check_shuffled(text: str, count: int, what: str = "the output") -> None:
    """Raises: Wrong unless `text` has each of the lines 0 to `count` - 1 once, whole, in any order."""
    try:
        numbers = sorted(map(int, text.splitlines()))
    except ValueError as error:
        raise Wrong(f"{what}: a line is broken: {error}") from None
    check(numbers == list(range(count)), f"{what}: {len(numbers)} lines instead of {count}, or not each of them once")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without pauses for the garbage collection of this process, the client's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
