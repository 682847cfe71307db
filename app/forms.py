"""A job's form: its JSON Schema turned into fields that a template can draw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["text", "number", "integer", "boolean", "choice", "date", "datetime", "time", "list", "json"]
_FORMATS: dict[str, Kind] = {"date": "date", "date-time": "datetime", "time": "time"}
_TYPES: dict[str, Kind] = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "text"}
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter as the form shows it.

    `value` is what the input starts with; `choices` are pairs of JSON text and label; `item` is the kind of a list's
    entries and `values` what they start with; `zoned` times carry a time zone.
    """

    name: str
    kind: Kind
    label: str = ""
    hint: str = ""
    required: bool = False
    optional: bool = False
    value: str = ""
    zoned: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    limits: dict[str, str] = field(default_factory=dict)
    item: Field | None = None
    values: tuple[Field, ...] = ()


def fields(schema: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> list[Field]:
    """The fields of an object's JSON Schema, in its order; `values` (an earlier run's) win over the defaults."""
    required = set(schema.get("required", ()))
    given = values or {}
    return [
        _field(name, part, schema.get("$defs", {}), required=name in required, given=given.get(name, _MISSING))
        for name, part in schema.get("properties", {}).items()
    ]


def _field(name: str, part: Mapping[str, Any], defs: Mapping[str, Any], *, required: bool, given: object) -> Field:
    inner, optional = _resolve(part, defs)
    value = part.get("default", _MISSING) if given is _MISSING else given
    kind = _kind(inner, optional=optional)
    common: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "label": _title(name, part),
        "hint": str(part.get("description") or inner.get("description") or ""),
        "required": required,
        "optional": optional,
        "limits": _limits(inner, kind),
        "zoned": kind == "datetime" and _zoned(value),
    }
    if kind == "list":
        item = _field(name, {"title": common["label"], **inner["items"]}, defs, required=True, given=_MISSING)
        entries = value if isinstance(value, list) else []
        started = tuple(_field(name, inner["items"], defs, required=True, given=entry) for entry in entries)
        return Field(**common, item=item, values=started)
    return Field(**common, value=_text(value, kind), choices=_choices(inner, kind, optional=optional))


def _resolve(part: Mapping[str, Any], defs: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Follow references and take `| None` off; True means that None is allowed."""
    if "$ref" in part:
        return _resolve(defs[part["$ref"].rsplit("/", 1)[-1]], defs)
    options = [option for option in part.get("anyOf", ()) if option.get("type") != "null"]
    optional = len(options) < len(part.get("anyOf", ()))
    if len(options) == 1:
        return _resolve(options[0], defs)[0], optional
    return part, optional


def _kind(inner: Mapping[str, Any], *, optional: bool) -> Kind:
    if "enum" in inner or "const" in inner:
        return "choice"
    if inner.get("type") == "boolean" and optional:
        return "choice"
    if inner.get("type") == "array" and "items" in inner:
        return "list"
    if inner.get("type") == "string" and inner.get("format") in _FORMATS:
        return _FORMATS[inner["format"]]
    # A union of plain types (Decimal, int | str) is typed as text, and the server reads it; the rest is JSON.
    plain = all(option.get("type") in _TYPES for option in inner.get("anyOf", ())) and "anyOf" in inner
    return "text" if plain else _TYPES.get(str(inner.get("type")), "json")


def _choices(inner: Mapping[str, Any], kind: Kind, *, optional: bool) -> tuple[tuple[str, str], ...]:
    if kind != "choice":
        return ()
    if inner.get("type") == "boolean":
        options = [("true", "Yes"), ("false", "No")]
    else:
        options = [(json.dumps(option), _label(option)) for option in inner.get("enum", [inner.get("const")])]
    return tuple([("null", "none")] * (optional and ("null", "none") not in options) + options)


def _label(option: object) -> str:
    if isinstance(option, bool):
        return "Yes" if option else "No"
    return "none" if option is None else str(option)


def _limits(inner: Mapping[str, Any], kind: Kind) -> dict[str, str]:
    names = {"minimum": "min", "maximum": "max", "maxLength": "maxlength", "minLength": "minlength"}
    limits = {html: str(inner[name]) for name, html in names.items() if name in inner}
    if kind in {"integer", "number"}:
        limits["step"] = "1" if kind == "integer" else "any"
    if kind in {"datetime", "time"}:
        limits["step"] = "1"  # seconds; without it the browser offers minutes only
    return limits


def _text(value: object, kind: Kind) -> str:
    if kind in {"choice", "json"}:
        return "" if value is _MISSING else json.dumps(value)
    if kind == "boolean":
        return "true" if value is True else ""
    return "" if value is _MISSING or value is None else str(value)


def _title(name: str, part: Mapping[str, Any]) -> str:
    """The author's title; one that pydantic made from the name ("Dry Run") becomes a sentence ("Dry run")."""
    title = str(part.get("title", ""))
    words = name.replace("_", " ")
    return title if title and title != words.title() else words[:1].upper() + words[1:]


def _zoned(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False
