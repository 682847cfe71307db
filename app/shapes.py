"""The types that a job's parameters may have, and how a form's text or loose JSON is made exact for pydantic."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, EnumType
from typing import Annotated, Any, Literal, Optional, Union, cast

from pydantic import WithJsonSchema

SUPPORTED = "int, float, bool, str, Decimal, date, time, datetime, Literal, Enum, and Optional and lists of these"
MAX_CHARACTERS = 100_000
MAX_ITEMS = 1_000
MAX_DIGITS = 1_000
MAX_BITS = 3_322  # 1,000 digits never need more
NEEDED = "A value is needed."
_SHOWN_CHOICES = 12
_JSON_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_NUMBER = re.compile(r"\s*[-+]?[\d._]+(e[-+]?\d+)?\s*", re.IGNORECASE)
_MOMENTS = {
    date: "Input should be a date like 2025-12-31.",
    time: "Input should be a time like 23:59.",
    datetime: "Input should be a date and time like 2025-12-31T23:59.",
}


class UnsupportedError(TypeError):
    """A type that no parameter can have; the text says which, and what is possible."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A type: `kind` is what pydantic checks once `clean` made the value exact, or raised a ValueError sentence."""

    kind: Any
    clean: Callable[[object], object]


def shape(kind: Any) -> Shape:
    """The shape of a type, whole or inside of Optional and list.

    Raises: UnsupportedError.
    """
    kind = _bare(kind)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        inner = shape(parts[0])
        notes = tuple(note for note in parts[1:] if not isinstance(note, str))
        return Shape(Annotated[(inner.kind, *notes)], inner.clean) if notes else inner
    if origin in (Union, types.UnionType):
        return _union(kind, parts)
    if origin is list or kind is list:
        return _list(shape(parts[0] if parts else str))
    if origin is Literal:
        return _literal(parts)
    if isinstance(kind, EnumType):
        return _choice(kind, [(each.value, each) for each in cast(type[Enum], kind)])
    return _plain(kind)


def _bare(kind: Any) -> Any:
    while hasattr(kind, "__supertype__") or isinstance(kind, getattr(typing, "TypeAliasType", ())):
        kind = kind.__supertype__ if hasattr(kind, "__supertype__") else kind.__value__
    return kind


def _union(kind: Any, parts: tuple[Any, ...]) -> Shape:
    rest = [part for part in parts if part is not types.NoneType]
    if len(rest) != 1:
        raise _unsupported(kind)
    inner = shape(rest[0])
    empty: Any = Optional[inner.kind]  # noqa: UP045 - a value here, and some kinds have no `|`
    return Shape(empty, lambda value: None if value is None or value == "" else inner.clean(value))


def _list(item: Shape) -> Shape:
    def clean(value: object) -> object:
        if isinstance(value, str):
            _check_length(value)
            value = [line for line in value.splitlines() if line.strip()]
        if not isinstance(value, list):
            raise ValueError("Input should be a list.")  # noqa: TRY004 - each wrong value is one kind of error
        if len(value) > MAX_ITEMS:
            raise ValueError(f"At most {MAX_ITEMS:,} items are allowed.")
        return [_clean_item(item, number, each) for number, each in enumerate(value, start=1)]

    return Shape(list[item.kind], clean)  # type: ignore[name-defined]


def _clean_item(item: Shape, number: int, value: object) -> object:
    try:
        return item.clean(value)
    except ValueError as error:
        raise ValueError(f"Item {number}: {error}") from None


def _literal(values: tuple[Any, ...]) -> Shape:
    rest = tuple(value for value in values if value is not None)
    if 0 < len(rest) < len(values):
        return _union(None, (Literal[rest], types.NoneType))
    return _choice(Literal[values], [(getattr(value, "value", value), value) for value in rest])


def _choice(kind: Any, choices: list[tuple[Any, Any]]) -> Shape:
    """`choices` are pairs: what JSON and forms hold, and what the function gets."""
    if not choices or not all(_is_scalar(choice) for choice, _ in choices):
        raise UnsupportedError(f"the choices of {_name(kind)} should be texts, numbers or booleans, and at least one")
    exact = {(type(choice), choice): value for choice, value in choices}
    texts = {_text(choice): value for choice, value in sorted(choices, key=lambda pair: isinstance(pair[0], str))}
    shown = ", ".join(_text(choice) for choice, _ in choices[:_SHOWN_CHOICES])
    message = f"Please choose one of: {shown}{', ...' if len(choices) > _SHOWN_CHOICES else ''}."

    def clean(value: object) -> object:
        if any(value is each for _, each in choices):
            return value
        if isinstance(value, str | int | float) and (type(value), value) in exact:
            return exact[type(value), value]
        if isinstance(value, str) and value in texts:
            return texts[value]
        raise ValueError(NEEDED if value == "" else message)

    names = {_JSON_TYPES[type(choice)] for choice, _ in choices}
    schema = {"enum": [choice for choice, _ in choices], **({"type": names.pop()} if len(names) == 1 else {})}
    return Shape(Annotated[kind, WithJsonSchema(schema)], clean)


def _is_scalar(choice: object) -> bool:
    return type(choice) in _JSON_TYPES and not (isinstance(choice, float) and not math.isfinite(choice))


def _text(choice: object) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def _plain(kind: Any) -> Shape:
    if kind is str:
        return Shape(kind, _clean_text)
    if kind is bool:
        return Shape(kind, _needed)
    if kind in (int, float):
        return Shape(kind, _clean_number)
    if kind is Decimal:
        schema = WithJsonSchema({"type": "string", "format": "decimal"})
        # as text, the longest whole number has a sign more, and a fraction a point and an exponent
        return Shape(Annotated[kind, schema], lambda value: _clean_number(value, 2 * MAX_DIGITS))
    if isinstance(kind, type) and kind in _MOMENTS:
        return Shape(kind, _clean_moment(_MOMENTS[kind]))
    raise _unsupported(kind)


def _needed(value: object) -> object:
    if value == "":
        raise ValueError(NEEDED)
    return value


def _clean_text(value: object) -> object:
    if isinstance(value, str):
        _check_length(value)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("This text has a broken character (half of a surrogate pair).") from None
    return value


def _clean_number(value: object, longest: int = MAX_DIGITS) -> object:
    if isinstance(value, bool):
        raise ValueError("Input should be a number.")  # noqa: TRY004 - each wrong value is one kind of error
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError("This number is too large.")
    if isinstance(value, str) and len(value) > longest:
        raise ValueError("This number is too large.")
    return _needed(value)


def _clean_moment(message: str) -> Callable[[object], object]:
    """Numbers are no moments here: pydantic would read 2024 as seconds since 1970."""

    def clean(value: object) -> object:
        if isinstance(value, str):
            _check_length(value)
        if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
            raise ValueError(message)
        return _needed(value)

    return clean


def _check_length(value: str) -> None:
    if len(value) > MAX_CHARACTERS:
        raise ValueError(f"At most {MAX_CHARACTERS:,} characters are allowed.")


def _unsupported(kind: Any) -> UnsupportedError:
    return UnsupportedError(f"the type {_name(kind)} is not supported; possible are {SUPPORTED}")


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
