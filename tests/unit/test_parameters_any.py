"""Parameters: whatever JSON comes, it is parsed and can be stored, or it is refused with sentences."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidParameters
from tests.unit.parameter_samples import ALL, GOOD

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
