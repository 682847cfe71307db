"""Parameters: from a form's texts or from JSON to the values for the call, or to a sentence per wrong field."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field

from tests.unit.parameter_samples import ALL, GOOD, Colour, Level, Unit, fields_of, one


def test_typed_values_become_what_the_function_declares() -> None:
    """JSON of every supported type arrives as the Python value of the annotation."""
    values = ALL.parse(GOOD)
    assert values == {
        "whole": 5,
        "real": 1.5,
        "flag": True,
        "text": "x",
        "amount": Decimal("0.10"),
        "size": "small",
        "digit": 2,
        "colour": Colour.RED,
        "level": Level.LOW,
        "unit": Unit.METRE,
        "day": date(2025, 12, 31),
        "hour": time(23, 59),
        "moment": datetime(2025, 12, 31, 23, 59),
        "plain": "y",
        "maybe": None,
        "maybe_text": None,
        "maybe_choice": None,
        "numbers": [1, 2],
        "colours": [],
        "distance": 1.5,
    }
    assert type(values["level"]) is Level
    assert type(values["amount"]) is Decimal


def test_texts_of_a_form_become_the_same_values() -> None:
    """A form sends texts alone, and empty ones for what may be left out."""
    form = {name: str(value) for name, value in GOOD.items()} | {
        "flag": "on",
        "maybe": "",
        "maybe_text": "",
        "maybe_choice": "",
        "numbers": "1\r\n2\r\n",
        "colours": "",
    }
    assert ALL.parse(form) == ALL.parse(GOOD)


def test_what_is_stored_is_json_and_reads_back_alike() -> None:
    """A run record holds JSON from which the same values come again."""
    values = ALL.parse(GOOD)
    stored = json.loads(json.dumps(ALL.to_json(values), allow_nan=False))
    assert ALL.parse(stored) == values
    assert (stored["day"], stored["unit"], stored["amount"]) == ("2025-12-31", "m", "0.10")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("whole", "", "A value is needed."),
        ("whole", "x", "Input should be a valid integer, unable to parse string as an integer"),
        ("whole", 101, "Input should be less than or equal to 100"),
        ("whole", 5.5, "Input should be a valid integer, got a number with a fractional part"),
        ("whole", math.nan, "Input should be a finite number"),
        ("whole", math.inf, "Input should be a finite number"),
        ("whole", True, "Input should be a number."),
        ("whole", None, "Input should be a valid integer"),
        ("whole", 10**1001, "This number is too large."),
        ("whole", "9" * 5000, "This number is too large."),
        ("whole", [1], "Input should be a valid integer"),
        ("whole", {"__class__": 1}, "Input should be a valid integer"),
        ("real", "nan", "Input should be a finite number"),
        ("real", -math.inf, "Input should be a finite number"),
        ("real", 10**400, "Input should be a valid number"),
        ("real", False, "Input should be a number."),
        ("flag", "", "A value is needed."),
        ("flag", 2, "Input should be a valid boolean, unable to interpret input"),
        ("text", 5, "Input should be a valid string"),
        ("text", "x" * 100_001, "At most 100,000 characters are allowed."),
        ("text", "\ud800", "This text has a broken character (half of a surrogate pair)."),
        ("amount", "Infinity", "Input should be a finite number"),
        ("size", "huge", "Please choose one of: small, large."),
        ("size", ["small"], "Please choose one of: small, large."),
        ("digit", 3, "Please choose one of: 1, 2, 5."),
        ("digit", True, "Please choose one of: 1, 2, 5."),
        ("colour", "RED", "Please choose one of: red, blue."),
        ("level", 1.0, "Please choose one of: 1, 2."),
        ("unit", "", "A value is needed."),
        ("day", 86400, "Input should be a date like 2025-12-31."),
        ("day", "", "A value is needed."),
        ("moment", "2024", "Input should be a date and time like 2025-12-31T23:59."),
        ("moment", "1e10", "Input should be a date and time like 2025-12-31T23:59."),
        ("hour", 5.0, "Input should be a time like 23:59."),
        ("maybe", "x", "Input should be a valid integer, unable to parse string as an integer"),
        ("numbers", 5, "Input should be a list."),
        ("numbers", {"0": 1}, "Input should be a list."),
        ("numbers", [0] * 1001, "At most 1,000 items are allowed."),
        ("numbers", "1\n\nx", "Item 2: Input should be a valid integer, unable to parse string as an integer"),
        ("numbers", [1, ""], "Item 2: A value is needed."),
        ("colours", ["red", "green"], "Item 2: Please choose one of: red, blue."),
        ("colours", "x" * 100_001, "At most 100,000 characters are allowed."),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_wrong_value_gets_a_sentence_beside_its_field(name: str, value: Any, sentence: str) -> None:
    """What is wrong is said for people, next to the one field, and never by repeating a huge input."""
    assert fields_of(ALL, {**GOOD, name: value}) == {name: sentence}


def test_a_date_that_is_none_is_refused_by_its_reason() -> None:
    """The 30th of February is refused with what pydantic knows about it."""
    assert "day" in fields_of(ALL, {**GOOD, "day": "2025-02-30"})["day"]


def test_missing_values_are_asked_for_all_at_once() -> None:
    """Every parameter without a default is named in one answer."""
    assert fields_of(ALL, {}) == dict.fromkeys(GOOD, "A value is needed.")


@pytest.mark.parametrize(
    "name",
    ["__class__", "", "self", "nope", "x" * 10_000_000, "\ud800", "a\nb\x1b[31m"],
    ids=["dunder", "empty", "self", "unknown", "huge", "surrogate", "control"],
)
def test_a_hostile_name_is_refused_in_a_few_printable_characters(name: str) -> None:
    """An unknown name is an error beside it, shortened, and fit for JSON in UTF-8."""
    (shown,) = fields_of(ALL, {**GOOD, name: 1})
    assert len(shown) <= 43
    assert shown.isprintable()
    assert json.dumps(shown, ensure_ascii=False).encode()


def test_many_unknown_names_bring_a_short_answer() -> None:
    """A flood of names does not come back as a flood."""
    assert len(fields_of(ALL, {**GOOD, **{f"x{number}": 1 for number in range(10_000)}})) == 20


@pytest.mark.parametrize("values", [None, [], "text", 5, [["whole", 1]]])
def test_something_that_is_no_object_is_refused(values: Any) -> None:
    """Parameters that are not a mapping bring the same kind of error."""
    assert fields_of(ALL, values) == {"params": "Parameters are an object of names and values."}


def test_the_same_literal_in_two_types_is_told_apart() -> None:
    """A choice of 1, true and "1" gives back exactly what was chosen."""
    found = one(Literal[1, True, "1"])
    for value in (1, True, "1"):
        assert found.parse({"value": value})["value"] is value


def test_literals_of_enum_members_give_members() -> None:
    """Literal may pick some members of an Enum."""
    found = one(Literal[Unit.MILE], default=Unit.MILE)
    assert found.parse({"value": "mi"}) == found.parse({}) == {"value": Unit.MILE}
    assert found.to_json(found.parse({})) == {"value": "mi"}


def test_lists_of_lists_and_of_optional_items_work() -> None:
    """A list may hold lists, and items that may be empty."""
    assert one(list[list[int]]).parse({"value": [[1, "2"], []]}) == {"value": [[1, 2], []]}
    assert one(list[int | None]).parse({"value": [1, None, ""]}) == {"value": [1, None, None]}
    assert one(list).parse({"value": "a\nb"}) == {"value": ["a", "b"]}
    assert one(list[int] | None).parse({"value": ""}) == {"value": None}


def test_constraints_are_kept_inside_of_optional_and_lists() -> None:
    """Field's limits hold for the value and for a list's length, and the schema shows them."""
    found = one(Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=2)] | None)
    part = found.schema["properties"]["value"]["anyOf"][0]
    assert part == {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2}
    assert fields_of(found, {"value": [0]}) == {"value": "Item 1: Input should be greater than or equal to 1"}
    assert "at most 2" in fields_of(found, {"value": [1, 1, 1]})["value"]


def test_the_authors_own_check_speaks_or_fails_decently() -> None:
    """A validator's ValueError is the sentence; any other exception of it is no accident of the server."""

    def check(value: int) -> int:
        if value == 13:
            raise ValueError("Thirteen brings no luck.")
        return value // (value - 5)

    found = one(Annotated[int, AfterValidator(check)])
    assert fields_of(found, {"value": 13}) == {"value": "Thirteen brings no luck."}
    assert fields_of(found, {"value": 5}) == {"value": "The check of this value failed (ZeroDivisionError)."}
