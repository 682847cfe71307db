"""A job's parameters as they stand on a command line, made exact by the job's JSON Schema."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

YES = ("true", "yes", "on", "1")
NO = ("false", "no", "off", "0")
# No body of the API is longer.
MOST_BYTES = 1_048_576


def parse(job: str, schema: dict[str, Any], words: Iterable[str]) -> dict[str, Any]:
    """The parameters of `NAME=VALUE` words, as JSON has them.

    `NAME:=JSON` is taken as it stands, `NAME=@FILE` is a file's text.

    Raises: click.UsageError with a sentence.
    """
    properties: dict[str, Any] = schema.get("properties", {})
    texts: dict[str, list[str]] = {}
    found: dict[str, Any] = {}
    for word in words:
        name, is_json, value = _split(job, word)
        if name not in properties:
            raise click.UsageError(_unknown(job, name, list(properties)))
        if is_json:
            found[name] = json_value(name, _text(name, value))
        else:
            texts.setdefault(name, []).append(_text(name, value))
    for name, several in texts.items():
        if name in found:
            raise click.UsageError(f"{name}: given twice, as text and as JSON.")
        found[name] = _value(name, properties[name], several)
    missing = [name for name in schema.get("required", []) if name not in found]
    if missing:
        wanted = " ".join(f"{name}=..." for name in missing)
        raise click.UsageError(f"{job} needs {wanted}\nWhat it takes: python -m app jobs {job}")
    return found


def kind_of(described: dict[str, Any]) -> str:
    """What a parameter takes, in a word or as its choices."""
    bare, empty = _bare(described)
    if "enum" in bare:
        name = "|".join(_shown(each) for each in bare["enum"])
    elif bare.get("type") == "array":
        name = f"list of {kind_of(bare.get('items', {}))}"
    else:
        name = str(bare.get("format") or bare.get("type") or "any")
    return f"{name} or nothing" if empty else name


def _split(job: str, word: str) -> tuple[str, bool, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise click.UsageError(f"{word[:100]!r}: parameters are given as NAME=VALUE. See: python -m app jobs {job}")
    return (name[:-1], True, value) if name.endswith(":") else (name, False, value)


def _unknown(job: str, name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean {near[0]}?" if near else f" It has: {', '.join(names)}." if names else " It has none."
    return f"{job} has no parameter {name[:100]!r}.{hint}"


def json_value(name: str, text: str) -> Any:
    """JSON for a name, as it stands.

    Raises: click.UsageError.
    """
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise click.UsageError(f"{name}: what stands behind := is no JSON. A text needs quotes in it.") from None


def _text(name: str, value: str) -> str:
    """A value as it stands, or the text of the file that it names; two @ are one."""
    if not value.startswith("@"):
        return value
    if value.startswith("@@"):
        return value[1:]
    where = value[1:]
    try:
        data = sys.stdin.buffer.read(MOST_BYTES) if where == "-" else _file(where)
        if len(data) >= MOST_BYTES:
            raise click.UsageError(f"{name}: the file {where} is too long for a parameter.")
        return data.decode()
    except OSError as error:
        hint = f"For a text that begins with @: {name}=@{value[:100]}"
        raise click.UsageError(f"{name}: the file {where!r} cannot be read: {error.strerror}. {hint}") from None
    except ValueError:
        raise click.UsageError(f"{name}: the file {where!r} is no UTF-8 text.") from None


def _file(where: str) -> bytes:
    with Path(where).open("rb") as file:
        return file.read(MOST_BYTES)


def _value(name: str, described: dict[str, Any], several: list[str]) -> Any:
    bare, empty = _bare(described)
    if bare.get("type") == "array":
        return _list(name, bare, several, empty=empty)
    if len(several) > 1:
        raise click.UsageError(f"{name}: given {len(several)} times, and it is no list.")
    text = several[0]
    if empty and not text:
        return None
    return _one(name, bare, text)


def _list(name: str, described: dict[str, Any], several: list[str], *, empty: bool) -> Any:
    if several == [""]:
        return None if empty else []
    if len(several) == 1 and several[0].lstrip().startswith("["):
        return json_value(name, several[0])
    items = described.get("items", {})
    return [_value(name, items, [each]) for each in several]


def _one(name: str, described: dict[str, Any], text: str) -> Any:
    if "enum" in described:
        return _choice(name, described["enum"], text)
    return KINDS.get(str(described.get("type")), _as_it_is)(name, text)


def _bare(described: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """A parameter's schema without what allows nothing, and whether it does."""
    options = described.get("anyOf")
    if not isinstance(options, list):
        return described, False
    rest = [each for each in options if each != {"type": "null"}]
    return (rest[0] if len(rest) == 1 else {}), len(rest) < len(options)


def _choice(name: str, choices: list[Any], text: str) -> Any:
    for each in sorted(choices, key=lambda choice: not isinstance(choice, str)):
        if _shown(each) == text:
            return each
    raise click.UsageError(f"{name}: expected one of {', '.join(map(_shown, choices))}, not {text[:100]!r}.")


def _shown(choice: Any) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise click.UsageError(f"{name}: expected a whole number, not {text[:100]!r}.") from None


def _number(name: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise click.UsageError(f"{name}: expected a number, not {text[:100]!r}.") from None
    if found - found != 0:
        raise click.UsageError(f"{name}: expected a number that is one, not {text[:100]!r}.")
    return found


def _boolean(name: str, text: str) -> bool:
    if text.lower() in YES:
        return True
    if text.lower() in NO:
        return False
    raise click.UsageError(f"{name}: expected true or false, not {text[:100]!r}.")


def _as_it_is(_name: str, text: str) -> str:
    return text


KINDS: dict[str, Callable[[str, str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _as_it_is,
}
