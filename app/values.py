"""What a channel is called and what it may hold: shared by jobs, doors and the store."""

from __future__ import annotations

import json
import re
from typing import Any

NAME_LENGTH = 100
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}$"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}")
# What a stream of the first form says beside values: a channel of such a name could not be told from it.
RESERVED = frozenset({"Error", "Missed", "Updates"})
VALUE_BYTES = 4096
# Deeper than this nobody's reader needs to go.
DEPTH = 32


def name_of(name: object) -> str:
    """A channel's name, as it is.

    Raises: ValueError with a sentence.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"channel: a name is 1 to {NAME_LENGTH} letters, digits, `_`, `.`, `:` and `-`, and begins with one of "
            "the first three"
        )
    if name in RESERVED:
        raise ValueError(f"channel: {name!r} is what streams themselves say; please take another name")
    return name


def encoded(value: Any) -> str:
    """A value as JSON, which equal values have alike.

    Raises: ValueError with a sentence.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"channel: a value is what JSON can hold: {str(error)[:200]}") from None
    if len(text) > VALUE_BYTES:
        raise ValueError(f"channel: a value has {VALUE_BYTES} bytes at most, as JSON")
    if len(text) > DEPTH and _depth(text) > DEPTH:
        raise ValueError(f"channel: a value is at most {DEPTH} lists and objects deep")
    return text


def _depth(text: str) -> int:
    depth = deepest = 0
    # Texts count too: a bracket in one makes the value look deeper, and harms nobody.
    for sign in text:
        if sign in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in "]}":
            depth -= 1
    return deepest
