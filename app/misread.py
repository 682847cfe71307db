"""What is wrong with a setting, in one line for people."""

from __future__ import annotations

import difflib
from pathlib import Path

from annotated_types import Ge, Le
from dotenv.parser import parse_stream
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from app.errors import ConfigError

LONGEST_SHOWN = 60
# Settings whose wrong value is not shown: it may hold a password or a key.
SECRET = frozenset(
    {
        *("client_id", "client_secret", "secret_key", "token_keys"),
        *("redis_url", "redis_password", "broker_url", "broker_password"),
    }
)


def expectation(settings: type[BaseModel], name: str) -> str:
    """What a right value of a setting looks like, for people: `a whole number from 1 to 65535`."""
    field = settings.model_fields[name]
    kind = field.annotation
    if kind in (int, float):
        return f"a {'whole ' if kind is int else ''}number{_limits(field)}"
    choices = getattr(kind, "__args__", ())
    if all(isinstance(choice, str) for choice in choices) and choices:
        return " or ".join(choices)
    return "texts separated by commas" if choices else "a text"


def _limits(field: FieldInfo) -> str:
    low = next(limit.ge for limit in field.metadata if isinstance(limit, Ge))
    high = next(limit.le for limit in field.metadata if isinstance(limit, Le))
    return f" from {low} to {high}"


def sentence(settings: type[BaseModel], error: ValidationError) -> str:
    """The first thing that is wrong with values for `settings`."""
    first = error.errors(include_url=False)[0]
    reason = first.get("ctx", {}).get("error")
    if not first["loc"]:
        return str(reason)
    name = str(first["loc"][0]).lower()
    if name not in settings.model_fields:
        return _unknown(settings, name)
    wanted = str(reason) if isinstance(reason, ValueError) else f"expected {expectation(settings, name)}"
    return f"{name.upper()}: {wanted}{_shown(name, first['input'])}"


def _shown(name: str, value: object) -> str:
    text = repr(value)
    if name in SECRET or "@" in text:
        return ""
    return f", got {text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + '...'}"


def _unknown(settings: type[BaseModel], name: str) -> str:
    near = difflib.get_close_matches(name, settings.model_fields, 1)
    hint = f"; is {near[0].upper()} meant?" if near else ""
    return f"{name.upper()[:LONGEST_SHOWN]}: there is no such setting{hint}"


def check_file(path: Path | None) -> None:
    """Find what the reader of such files would pass over in silence.

    Raises: ConfigError.
    """
    if path is None or not path.exists():
        return
    try:
        with path.open(encoding="utf-8") as file:
            wrong = next((line for line in parse_stream(file) if line.error or (line.key and line.value is None)), None)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: it is no UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if wrong is not None:
        raise ConfigError(f"{path}: line {wrong.original.line} is not of the form NAME=value")
