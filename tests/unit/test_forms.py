"""A job's schema becomes the fields of its form."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Literal

import pytest

from app.forms import Field, fields
from app.parameters import read_signature


def field_of(kind: Any, default: Any = ..., value: Any = ...) -> Field:
    """The one field of a job with a parameter of this type."""

    def function(parameter, rest=1):  # type: ignore[no-untyped-def]
        """Never called: its signature is read."""

    function.__annotations__ = {"parameter": kind, "rest": int}
    function.__defaults__ = (1,) if default is ... else (default, 1)
    schema = read_signature(function).schema
    return fields(schema, None if value is ... else {"parameter": value})[0]


class Shade(Enum):
    """Some choices."""

    DARK = "dark"
    LIGHT = "light"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (int, "integer"),
        (int | None, "integer"),
        (float, "number"),
        (str, "text"),
        (bool, "boolean"),
        (bool | None, "choice"),
        (Literal["only"], "choice"),
        (Literal["a", None], "choice"),
        (Shade, "choice"),
        (Shade | None, "choice"),
        (date, "date"),
        (datetime, "datetime"),
        (list[int], "list"),
        (list[Shade] | None, "list"),
        (list, "list"),
    ],
)
def test_each_type_has_its_kind(kind: Any, expected: str) -> None:
    """Also where None is allowed; a boolean that may be None has three answers."""
    assert field_of(kind).kind == expected


def test_what_is_required_and_what_is_optional() -> None:
    """Required means that there is no default, optional that None is allowed."""
    assert (field_of(int).required, field_of(int).optional) == (True, False)
    assert (field_of(int, 3).required, field_of(int, 3).value) == (False, "3")
    assert (field_of(int | None, None).optional, field_of(int | None, None).value) == (True, "")


def test_choices_are_json_with_labels() -> None:
    """A choice is sent as what it is, not as its label."""
    assert field_of(Literal["x", 1, True], "x").choices == (('"x"', "x"), ("1", "1"), ("true", "Yes"))
    assert field_of(Shade | None, None).choices[0] == ("null", "(none)")
    assert field_of(Shade, Shade.LIGHT).value == '"light"'


def test_an_earlier_runs_value_wins_over_the_default() -> None:
    """Values that an earlier run was started with are what the form starts with."""
    assert field_of(int, 3, value=7).value == "7"
    assert field_of(bool, default=True, value=False).value == "false"
    assert [item.value for item in field_of(list[int], [1], value=[5, 6]).items] == ["5", "6"]


def test_moments_are_as_inputs_want_them() -> None:
    """No microseconds, which would leave the input empty; a zone is kept for the browser to apply."""
    plain = field_of(datetime, datetime(2026, 1, 2, 3, 4, 5, 678901))
    assert (plain.value, plain.zoned) == ("2026-01-02T03:04:05", False)
    assert field_of(datetime, datetime(2026, 1, 2, tzinfo=UTC)).zoned


def test_lines_and_lists_of_lists_are_written_as_lines() -> None:
    """A text of several lines has a place for them; a list inside a list has one entry per line."""
    assert field_of(str, "a\nb").kind == "lines"
    nested = field_of(list[list[int]], [[1, 2]])
    assert nested.item is not None
    assert nested.item.kind == "lines"
    assert nested.items[0].value == "1\n2"


def test_limits_are_the_inputs() -> None:
    """What the schema allows is told to the browser too, for its keyboards and steps."""
    from typing import Annotated

    from pydantic import Field as Limit

    limited = field_of(Annotated[int, Limit(ge=1, le=9)], 2)
    assert limited.limits == {"min": "1", "max": "9", "step": "1"}
