"""The built-in job `celery_echo`, where a broker is: a text's echo, made by a Celery worker; docs/rpc.md."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Literal, get_args

from pydantic import Field

from app.catalog import job

LONGEST_TEXT = 10_000
LOOK_SECONDS = 0.05
Way = Literal["echo", "reverse", "uppercase", "lowercase"]
WAYS: dict[Way, Callable[[str], str]] = {
    "echo": str,
    "reverse": lambda text: text[::-1],
    "uppercase": str.upper,
    "lowercase": str.lower,
}
NAMES: tuple[Way, ...] = get_args(Way)


@job(title="Celery echo", executor="celery")
def celery_echo(
    running: Callable[[], bool],
    method: Annotated[Way, "What becomes of the text."],
    text: Annotated[str, Field(max_length=LONGEST_TEXT), "What to echo."],
    seconds: Annotated[float, Field(ge=0, le=60), "How long that takes."] = 5.0,
) -> None:
    """Echoes a text, elsewhere and a little later.

    Its output is the echo and nothing else: what JSON-RPC's `get_result` answers.
    """
    end = time.monotonic() + seconds
    while running() and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
    if running():
        # No line's end: none was sent.
        print(WAYS[method](text), end="")
