"""A job with a parameter of each kind, and one whose output attacks the page; only tests see them."""

from __future__ import annotations

import sys
import time as clock_time
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

from app.catalog import job


class Colour(Enum):
    """A choice."""

    RED = "red"
    GREEN = "green"


@job(title="Every kind of input")
def inputs(  # one of each kind
    text: str,
    limit: Annotated[int, Field(ge=1, le=10), "From 1 to 10."] = 5,
    share: float = 0.5,
    really: bool = True,
    mode: Literal["fast", "slow", 3] = "slow",
    colour: Colour = Colour.GREEN,
    day: date = date(2026, 1, 31),
    moment: datetime = datetime(2026, 1, 31, 12, 30, 15),
    zoned: datetime = datetime(2026, 1, 31, 12, 30, tzinfo=UTC),
    clock: time = time(8, 15),
    maybe: int | None = None,
    sure: bool | None = None,
    price: Decimal = Decimal("1.50"),
    numbers: list[int] = [1, 2],  # noqa: B006 - a form shows it, nothing changes it
    names: list[str] | None = None,
    note: str = "two\nlines",
) -> None:
    """Print each value."""
    for name, value in list(locals().items()):
        print(f"{name}={value!r};")


@job
def attack() -> None:
    """Print what a page might act on: markup, links, the clipboard, titles, modes; whole and in pieces."""
    print("<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>")
    print("\x1b]8;;javascript:document.title='hacked'\x07a link\x1b]8;;\x07")
    print("\x1b]52;c;aGFja2Vk\x07\x1b]0;hacked\x07\x1b]2;hacked\x1b\\\x1b[?1000h\x1b[?1003;1006h", end="")
    for piece in ("\x1b]8;;java", "script:alert(1)", "\x07split link\x1b]8", ";;\x07\n", "\x1b]52;c;aGF", "ja2Vk\x07"):
        sys.stdout.write(piece)
        sys.stdout.flush()
        clock_time.sleep(0.02)
    print("\x1b[38;2;255;136;0mtrue colour\x1b[0m \x1b[31mred\x1b[0m \x1b[4;58;2;1;2;3munderlined\x1b[0m")
    print("all printed")
