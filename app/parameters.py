"""The parameters of a job: from the function's signature, by pydantic, to values for the call and the page's form."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Optional

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from app.errors import InvalidParameters, JobBroken
from app.shapes import NEEDED, UnsupportedError, shape
from app.texts import printable, text_of

INJECTED = frozenset({"running", "token", "user", "run"})
MAX_COMPLAINTS = 20  # unknown names that one answer lists
_SHOWN = 40  # characters of an unknown name
_LONGEST = 300  # characters of a sentence
_CONFIG = ConfigDict(allow_inf_nan=False)
_MISSING = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `described` is its schema without the default, which `make_default` gives anew for each use."""

    name: str
    clean: Callable[[object], object]
    adapter: TypeAdapter[Any]
    described: dict[str, Any]
    make_default: Callable[[], Any] | None

    @property
    def schema(self) -> dict[str, Any]:
        """The property as `Parameters.schema` shows it."""
        if self.make_default is None:
            return dict(self.described)
        return {**self.described, "default": self.to_json(self.make_default())}

    def parse(self, value: object) -> Any:
        """The value for the call.

        Raises: ValueError with a sentence.
        """
        exact = self.clean(value)
        try:
            return self.adapter.validate_python(exact)
        except ValidationError as error:
            raise ValueError(_sentence(error)) from None
        except Exception as error:  # noqa: BLE001 - a validator that the job's author wrote may raise anything
            raise ValueError(f"The check of this value failed ({type(error).__name__}).") from None

    def default(self) -> Any:
        """The value where none is given, checked like one that the form sends.

        Raises: ValueError where one is needed.
        """
        if self.make_default is None:
            raise ValueError(NEEDED)
        return self.parse(self.make_default())

    def to_json(self, value: Any) -> Any:
        """The value as JSON has it."""
        return self.adapter.dump_python(value, mode="json", warnings=False, fallback=str)


class Parameters:
    """The parameters of one job, in the order of its signature, and the names that are `injected` into the call."""

    def __init__(self, parameters: tuple[Parameter, ...] = (), injected: frozenset[str] = frozenset()) -> None:
        self._parameters = {each.name: each for each in parameters}
        self.injected = injected

    @property
    def schema(self) -> dict[str, Any]:
        """A JSON Schema without references, and with defaults as of now.

        `{"type": "object", "properties": {NAME: {"title", "description"?, "default"?, ...}}, "required": [NAME, ...],
        "additionalProperties": false}`. A property has `"type": "integer" | "number" | "boolean" | "string"` with the
        constraints of its type, on strings `"format": "date" | "time" | "date-time" | "decimal"`; or `"enum": [...]`
        for a choice; or `"type": "array", "items": {...}` for a list; or `"anyOf": [{...}, {"type": "null"}]` around
        one of these where it may be left empty.
        """
        return {
            "type": "object",
            "properties": {name: each.schema for name, each in self._parameters.items()},
            "required": [name for name, each in self._parameters.items() if each.make_default is None],
            "additionalProperties": False,
        }

    def parse(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Every parameter's value for the call, from a form's texts or from typed JSON; defaults fill the gaps.

        An empty text is None where None is allowed, and a text given for a list is one item per line.

        Raises: InvalidParameters with a sentence per wrong or unknown name.
        """
        if not isinstance(values, Mapping):
            raise InvalidParameters({"params": "Parameters are an object of names and values."})
        unknown = (name for name in values if name not in self._parameters)
        wrong = {
            printable(name if isinstance(name, str) else "", _SHOWN): "There is no such parameter."
            for name in islice(unknown, MAX_COMPLAINTS)
        }
        result = {}
        for name, parameter in self._parameters.items():
            try:
                result[name] = parameter.parse(values[name]) if name in values else parameter.default()
            except ValueError as error:
                wrong[name] = str(error)
        if wrong:
            raise InvalidParameters(wrong)
        return result

    def to_json(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What `parse` gave, as JSON has it: dates as ISO 8601 text, choices by value; `parse` reads it back alike."""
        return {name: self._parameters[name].to_json(value) for name, value in params.items()}


def read_signature(function: Callable[..., Any]) -> Parameters:
    """The parameters of `function`.

    Raises: JobBroken with a sentence that names the parameter which cannot be one.
    """
    found, injected = [], set()
    for name, parameter in inspect.signature(function).parameters.items():
        _check_kind(parameter)
        if name in INJECTED:
            injected.add(name)
        else:
            found.append(_read(function, parameter))
    return Parameters(tuple(found), frozenset(injected))


def _check_kind(parameter: inspect.Parameter) -> None:
    name = parameter.name
    if parameter.kind is parameter.VAR_POSITIONAL:
        raise JobBroken(f"parameter `*{name}`: a job names each of its parameters")
    if parameter.kind is parameter.VAR_KEYWORD:
        raise JobBroken(f"parameter `**{name}`: a job names each of its parameters")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise JobBroken(f"parameter `{name}` is positional-only (before `/`), and a job is called with names")


def _read(function: Callable[..., Any], parameter: inspect.Parameter) -> Parameter:
    name, default = parameter.name, parameter.default
    kind = _resolve(function, name, parameter.annotation)
    if isinstance(default, FieldInfo):
        kind, default = Annotated[kind, default], _MISSING
    elif default is None:
        kind = Optional[kind]  # noqa: UP045 - a value here, and some kinds have no `|`
    try:
        checked = shape(kind)
        adapter: TypeAdapter[Any] = TypeAdapter(checked.kind, config=_CONFIG)
        described = _described(name, _notes(kind), adapter.json_schema())
        found = Parameter(name, checked.clean, adapter, described, _make_default(adapter, default))
    except UnsupportedError as error:
        raise JobBroken(f"parameter `{name}`: {error}") from None
    except Exception as error:  # noqa: BLE001 - pydantic raises many kinds for constraints that do not fit their type
        raise JobBroken(f"parameter `{name}`: its type is wrong: {printable(text_of(error), _LONGEST)}") from None
    _check_default(found)
    return found


def _resolve(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    if annotation is _MISSING:
        return str
    holder: Any = types.SimpleNamespace(__annotations__={name: annotation})
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, globalns=scope, include_extras=True)[name]
    except Exception as error:  # noqa: BLE001 - an annotation in quotes is code of the author's
        raise JobBroken(f"parameter `{name}`: its type cannot be read: {printable(text_of(error), _LONGEST)}") from None


def _make_default(adapter: TypeAdapter[Any], default: Any) -> Callable[[], Any] | None:
    if default is not _MISSING:
        return lambda: default
    if adapter.get_default_value() is None:
        return None

    def make() -> Any:
        some = adapter.get_default_value()
        return None if some is None else some.value

    return make


def _check_default(parameter: Parameter) -> None:
    if parameter.make_default is None:
        return
    try:
        parameter.default()
    except ValueError as error:
        raise JobBroken(f"parameter `{parameter.name}`: its default does not fit: {error}") from None


def _described(name: str, notes: list[Any], schema: dict[str, Any]) -> dict[str, Any]:
    fields = [note for note in notes if isinstance(note, FieldInfo)]
    human = name.strip("_").replace("_", " ") or name
    title = next((field.title for field in fields if field.title), human[:1].upper() + human[1:])
    texts = [note if isinstance(note, str) else getattr(note, "description", None) for note in notes]
    description = next((text for text in texts if text), None)
    own = {key: value for key, value in schema.items() if key not in ("title", "description", "default")}
    return {"title": title, **({"description": description} if description else {}), **own}


def _notes(kind: Any) -> list[Any]:
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is Annotated:
        return [*parts[1:], *_notes(parts[0])]
    return [note for part in parts for note in _notes(part)] if types.NoneType in parts else []


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    item = next((f"Item {step + 1}: " for step in first["loc"] if isinstance(step, int)), "")
    return item + printable(first["msg"].removeprefix("Value error, "), _LONGEST)
