"""Parameters: from a signature to a form's schema, and from a form's or JSON's values to the call."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, Field

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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=4),
    max_leaves=8,
)


def parsed_or_refused(values: Any) -> dict[str, Any] | InvalidParameters:
    """What `parse` makes of any values."""
    try:
        return ALL.parse(values)
    except InvalidParameters as error:
        return error


@given(st.one_of(JSON, st.dictionaries(st.sampled_from([*GOOD, "maybe", "numbers", "colours", "no"]), JSON)))
def test_no_json_brings_another_error(values: Any) -> None:
    """Whatever JSON comes, it is parsed or refused with sentences; nothing else happens."""
    found = parsed_or_refused(values)
    if isinstance(found, InvalidParameters):
        assert found.fields
        assert json.dumps(found.as_dict(), ensure_ascii=False).encode()


@given(st.sampled_from([*GOOD, "maybe", "maybe_text", "maybe_choice", "numbers", "colours"]), JSON)
def test_what_is_accepted_survives_storage(name: str, value: Any) -> None:
    """Each accepted value is stored as strict JSON and read back as the same value."""
    found = parsed_or_refused({**GOOD, name: value})
    if isinstance(found, InvalidParameters):
        assert set(found.fields) == {name}
    else:
        stored = json.dumps(ALL.to_json(found), allow_nan=False)
        assert ALL.parse(json.loads(stored)) == found


@given(
    st.fixed_dictionaries(
        {
            "real": st.floats(allow_nan=False, allow_infinity=False),
            "day": st.dates(),
            "hour": st.times(),
            "moment": st.datetimes(timezones=st.sampled_from([None, UTC])),
            "amount": st.decimals(-(10**300), 10**300, allow_nan=False, places=5) | st.decimals(-9, 9, allow_nan=False),
            "maybe": st.none() | st.integers(-(10**998), 10**998),
            "text": st.text(),
        }
    )
)
def test_every_value_of_a_type_can_be_stored_and_typed_in(values: dict[str, Any]) -> None:
    """Any Python value of a supported type survives JSON, as a rerun with the same parameters needs."""
    parsed = ALL.parse({**GOOD, **values})
    assert parsed == {**ALL.parse(GOOD), **values}
    assert ALL.parse(json.loads(json.dumps(ALL.to_json(parsed)))) == parsed
