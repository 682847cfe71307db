"""Parameters: from a signature to a form's schema and defaults, or to the reason why there is none."""

from __future__ import annotations

import json
import math
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from app.parameters import read_signature
from tests.unit.parameter_samples import ALL, GOOD, Colour, Unit, broken, fields_of, one


def test_schema_is_flat_and_in_the_signatures_order() -> None:
    """The form's schema has no references, and a title, limits and the place in line of each parameter."""
    schema = ALL.schema
    assert "$" not in json.dumps(schema)
    assert list(schema["properties"]) == [
        *GOOD,
        "maybe",
        "maybe_text",
        "maybe_choice",
        "numbers",
        "colours",
        "distance",
    ]
    assert schema["required"] == list(GOOD)
    assert schema["properties"] == {
        "whole": {"title": "Whole", "type": "integer", "minimum": 0, "maximum": 100},
        "real": {"title": "Real", "type": "number"},
        "flag": {"title": "Flag", "type": "boolean"},
        "text": {"title": "Text", "type": "string"},
        "amount": {"title": "Amount", "type": "string", "format": "decimal"},
        "size": {"title": "Size", "type": "string", "enum": ["small", "large"]},
        "digit": {"title": "Digit", "type": "integer", "enum": [1, 2, 5]},
        "colour": {"title": "Colour", "type": "string", "enum": ["red", "blue"]},
        "level": {"title": "Level", "type": "integer", "enum": [1, 2]},
        "unit": {"title": "Unit", "type": "string", "enum": ["m", "mi"]},
        "day": {"title": "Day", "type": "string", "format": "date"},
        "hour": {"title": "Hour", "type": "string", "format": "time"},
        "moment": {"title": "Moment", "type": "string", "format": "date-time"},
        "plain": {"title": "Plain", "type": "string"},
        "maybe": {"title": "Maybe", "anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "maybe_text": {"title": "Maybe text", "anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "maybe_choice": {
            "title": "Maybe choice",
            "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}],
            "default": None,
        },
        "numbers": {"title": "Numbers", "type": "array", "items": {"type": "integer"}, "default": [1, 2]},
        "colours": {
            "title": "Colours",
            "type": "array",
            "items": {"type": "string", "enum": ["red", "blue"]},
            "default": [],
        },
        "distance": {"title": "Distance", "type": "number", "default": 1.5},
    }


def test_descriptions_and_titles_come_from_annotations() -> None:
    """Text in Annotated and pydantic's Field both describe a parameter, inside of Optional too."""

    def function(
        a: Annotated[int, "How many."] = 1,
        b: Annotated[int, Field(title="The B", description="What b is.", ge=1)] = 1,
        c: Annotated[int, "Maybe."] | None = None,
        d: int = Field(3, ge=1, description="As pydantic's models have it."),
        number_of_lines: int = 1,
    ) -> None:
        """Nothing."""

    properties = read_signature(function).schema["properties"]
    assert {name: (part["title"], part.get("description")) for name, part in properties.items()} == {
        "a": ("A", "How many."),
        "b": ("The B", "What b is."),
        "c": ("C", "Maybe."),
        "d": ("D", "As pydantic's models have it."),
        "number_of_lines": ("Number of lines", None),
    }
    assert read_signature(function).parse({})["d"] == 3


def test_injected_names_are_no_parameters() -> None:
    """`running`, `token`, `user` and `run` are given by the executor, however they are declared."""

    def function(running, token, n: int = 1, *, user=None, run: NoSuchType) -> None:  # type: ignore  # noqa: F821
        """Nothing."""

    found = read_signature(function)
    assert found.injected == {"running", "token", "user", "run"}
    assert list(found.schema["properties"]) == ["n"]
    assert fields_of(found, {"user": "root"}) == {"user": "There is no such parameter."}


def test_a_default_cannot_be_spoilt_by_a_run() -> None:
    """A run that changes the list it was given leaves the next run's default as it was."""
    ALL.parse(GOOD)["numbers"].append(99)
    assert ALL.parse(GOOD)["numbers"] == [1, 2]


def test_a_default_is_a_value_like_one_from_the_form() -> None:
    """An untouched form and an absent value bring the same thing, of the declared type."""

    def function(colour: Colour = "red", real: float = 5, day: date = "2025-01-02", unit: Unit = Unit.MILE) -> None:  # type: ignore[assignment]
        """Nothing."""

    found = read_signature(function)
    sent = {name: part["default"] for name, part in found.schema["properties"].items()}
    assert found.parse({}) == found.parse(json.loads(json.dumps(sent)))
    assert type(found.parse({})["colour"]) is Colour


def test_a_default_may_be_made_at_the_time() -> None:
    """A default factory is asked anew for each schema and each run."""
    numbers = iter(range(100))
    found = one(int, default=Field(default_factory=lambda: next(numbers)))
    shown = found.schema["properties"]["value"]["default"]
    assert found.parse({})["value"] == shown + 1
    assert found.schema["required"] == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (dict[str, int], "the type dict[str, int] is not supported"),
        (bytes, "the type bytes is not supported"),
        (Any, "Any is not supported"),
        (int | str, "int | str is not supported"),
        (int | str | None, "is not supported"),
        (list[complex], "the type complex is not supported"),
        (tuple[int, ...], "tuple[int, ...] is not supported"),
        (set, "the type set is not supported"),
        (Enum("Empty", []), "at least one"),
        (Enum("Odd", {"A": (1, 2)}), "the choices of Odd should be texts, numbers or booleans"),
        (Enum("Odd", {"A": math.nan}), "the choices of Odd should be texts, numbers or booleans"),
        (Literal[b"x"], "should be texts, numbers or booleans"),
        (Literal[None], "at least one"),
        ("Missing", "its type cannot be read: name 'Missing' is not defined"),
        ("int(", "its type cannot be read"),
        (5, "`value`"),
        (Annotated[str, Field(pattern="(")], "its type is wrong"),
    ],
)
def test_a_type_that_cannot_be_a_parameter_is_named(kind: Any, words: str) -> None:
    """The sentence names the parameter and says what is possible."""

    def function(value):  # type: ignore[no-untyped-def]
        return value

    function.__annotations__["value"] = kind
    sentence = broken(function)
    assert "parameter `value`" in sentence
    assert words in sentence


def test_ways_to_declare_that_no_form_can_serve_are_named() -> None:
    """`*args`, `**kwargs`, positional-only and a default that does not fit are refused by name."""

    def stars(*files: str) -> None:
        """Nothing."""

    def names(**options: str) -> None:
        """Nothing."""

    def positional(n: int, /) -> None:
        """Nothing."""

    def unfit(n: Annotated[int, Field(ge=1)] = 0) -> None:
        """Nothing."""

    def endless(timeout: float = math.inf) -> None:
        """Nothing."""

    assert broken(stars) == "parameter `*files`: a job names each of its parameters"
    assert broken(names) == "parameter `**options`: a job names each of its parameters"
    assert broken(positional) == "parameter `n` is positional-only (before `/`), and a job is called with names"
    assert broken(unfit) == "parameter `n`: its default does not fit: Input should be greater than or equal to 1"
    assert broken(endless) == "parameter `timeout`: its default does not fit: Input should be a finite number"


def test_names_that_pydantic_keeps_for_itself_are_free() -> None:
    """A parameter may be called like a method of a model, or begin with an underscore."""

    def function(copy: int, json: int, model_dump: int, _hidden: int, schema: int) -> None:
        """Nothing."""

    values = {"copy": 1, "json": 2, "model_dump": 3, "_hidden": 4, "schema": 5}
    assert read_signature(function).parse(values) == values
