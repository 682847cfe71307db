"""A job's form: the JSON Schema of its parameters turned into fields that a template can draw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["text", "number", "integer", "boolean", "choice", "date", "datetime", "time", "list", "lines"]
_FORMATS: dict[str, Kind] = {"date": "date", "date-time": "datetime", "time": "time"}
_TYPES: dict[str, Kind] = {"integer": "integer", "number": "number", "boolean": "boolean", "array": "list"}
_LIMITS = {"minimum": "min", "maximum": "max", "minLength": "minlength", "maxLength": "maxlength"}
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter as the form shows it.

    `value` is what its input starts with; `choices` are pairs of JSON text and label; `limits` are HTML attributes;
    `zoned` times carry a time zone. A list has an empty `item` to copy and the `items` that it starts with; `lines` is
    text of several lines, which is also how a list inside a list is written.
    """

    name: str
    kind: Kind
    label: str
    hint: str = ""
    required: bool = False
    optional: bool = False
    value: str = ""
    zoned: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    limits: dict[str, str] = field(default_factory=dict)
    item: Field | None = None
    items: tuple[Field, ...] = ()


def fields(schema: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> list[Field]:
    """The fields of a job's schema, in its order; `values` (an earlier run's) win over the defaults."""
    required = schema.get("required", ())
    return [
        _field(name, part, required=name in required, value=(values or {}).get(name, part.get("default", _MISSING)))
        for name, part in schema["properties"].items()
    ]


def _field(name: str, part: Mapping[str, Any], *, required: bool, value: object) -> Field:
    inner, optional = _without_none(part)
    kind = _kind(inner, optional=optional)
    if kind == "text" and "\n" in str(value):
        kind = "lines"
    zoned = kind == "datetime" and _zoned(value)
    item: Field | None = None
    items: tuple[Field, ...] = ()
    if kind == "list":
        item = _item(name, inner["items"], _MISSING)
        items = tuple(_item(name, inner["items"], entry) for entry in (value if isinstance(value, list) else ()))
    return Field(
        name=name,
        kind=kind,
        label=str(part.get("title", name)),
        hint=str(part.get("description", "")),
        required=required,
        optional=optional,
        value=_text(value, kind, zoned=zoned),
        zoned=zoned,
        choices=_choices(inner, optional=optional) if kind == "choice" else (),
        limits=_limits(inner, kind),
        item=item,
        items=items,
    )


def _item(name: str, part: Mapping[str, Any], value: object) -> Field:
    if _kind(_without_none(part)[0], optional=False) == "list":
        lines = "\n".join(map(str, value)) if isinstance(value, list) else ""
        return Field(name=name, kind="lines", label=name, value=lines)
    return _field(name, part, required=True, value=value)


def _without_none(part: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The schema without `| None`; True means that None is allowed."""
    options = part.get("anyOf", ())
    others = [option for option in options if option.get("type") != "null"]
    return (others[0] if len(others) == 1 else part), len(others) < len(options)


def _kind(inner: Mapping[str, Any], *, optional: bool) -> Kind:
    if "enum" in inner or "const" in inner or (inner.get("type") == "boolean" and optional):
        return "choice"
    kind = _TYPES.get(str(inner.get("type")), "text")
    return _FORMATS.get(str(inner.get("format")), kind) if kind == "text" else kind


def _choices(inner: Mapping[str, Any], *, optional: bool) -> tuple[tuple[str, str], ...]:
    values = [True, False] if inner.get("type") == "boolean" else inner.get("enum", [inner.get("const")])
    pairs = [(json.dumps(value), _label(value)) for value in values]
    none = ("null", _label(None))
    return tuple([none] * (optional and none not in pairs) + pairs)


def _label(value: object) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return "(none)" if value is None else str(value)


def _limits(inner: Mapping[str, Any], kind: Kind) -> dict[str, str]:
    limits = {attribute: str(inner[name]) for name, attribute in _LIMITS.items() if name in inner}
    steps = {"integer": "1", "number": "any", "datetime": "1", "time": "1"}  # of times: seconds
    return {**limits, "step": steps[kind]} if kind in steps else limits


def _text(value: object, kind: Kind, *, zoned: bool) -> str:
    if value is _MISSING:
        return ""
    if kind in {"choice", "boolean"}:
        return json.dumps(value)
    text = "" if value is None else str(value)
    # Browsers leave an input empty whose time has more digits than milliseconds.
    plain = text.split(".")[0] if "." in text and kind in {"datetime", "time"} and not zoned else text
    return plain.replace(" ", "T") if kind == "datetime" else plain


def _zoned(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False
