"""A function with every supported type, and short ways to read signatures and complaints."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType, Optional

import pytest
from pydantic import Field

from app.errors import InvalidParameters, JobBroken
from app.parameters import Parameters, read_signature


class Colour(StrEnum):
    """A text enum."""

    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    """A number enum."""

    LOW = 1
    HIGH = 2


class Unit(Enum):
    """An enum whose members are no texts."""

    METRE = "m"
    MILE = "mi"


Metres = NewType("Metres", float)


def everything(  # type: ignore[no-untyped-def]  # a parameter without a type is a text
    running: Callable[[], bool],
    *,
    whole: Annotated[int, Field(ge=0, le=100)],
    real: float,
    flag: bool,
    text: str,
    amount: Decimal,
    size: Literal["small", "large"],
    digit: Literal[1, 2, 5],
    colour: Colour,
    level: Level,
    unit: Unit,
    day: date,
    hour: time,
    moment: datetime,
    plain,
    maybe: int | None = None,
    maybe_text: Optional[str] = None,  # noqa: UP045 - the old spelling is supported as well
    maybe_choice: Literal["a", None] = None,
    numbers: list[int] = [1, 2],  # noqa: B006 - a default that the job must not be able to spoil
    colours: list[Colour] = [],  # noqa: B006
    distance: Metres = Metres(1.5),
) -> None:
    """A function with every supported type."""


ALL = read_signature(everything)


GOOD: dict[str, Any] = {
    "whole": 5,
    "real": 1.5,
    "flag": True,
    "text": "x",
    "amount": "0.10",
    "size": "small",
    "digit": 2,
    "colour": "red",
    "level": 1,
    "unit": "m",
    "day": "2025-12-31",
    "hour": "23:59",
    "moment": "2025-12-31T23:59",
    "plain": "y",
}


def fields_of(parameters: Parameters, values: Any) -> dict[str, str]:
    """The sentences by name that `values` bring."""
    with pytest.raises(InvalidParameters) as caught:
        parameters.parse(values)
    return caught.value.fields


def one(kind: Any, **values: Any) -> Parameters:
    """The parameters of a function with one parameter `value` of type `kind`."""

    def function(value):  # type: ignore[no-untyped-def]
        return value

    function.__annotations__["value"] = kind
    if values:
        function.__defaults__ = (values["default"],)
    return read_signature(function)


def broken(function: Callable[..., Any]) -> str:
    """Why `function` cannot be a job."""
    with pytest.raises(JobBroken) as caught:
        read_signature(function)
    return str(caught.value)
