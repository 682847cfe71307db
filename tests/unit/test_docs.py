"""The documents list what there is, and nothing else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path

from app import errors, rights

ROOT = Path(__file__).parents[2]
NAMESPACES = {"/": ("events.py", "wire.py"), "/status": ("status.py",), "/test": ("ticker.py",)}


def _rows(document: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / document).read_text(), re.MULTILINE))


def _subclasses(cls: type[errors.RealtimeError]) -> Iterable[type[errors.RealtimeError]]:
    return [each for _, each in inspect.getmembers(errors) if inspect.isclass(each) and issubclass(each, cls)]


def test_every_error_is_documented_and_no_other() -> None:
    """docs/errors.md has one row for each code of the tree, with its HTTP status."""
    text = (ROOT / "docs/errors.md").read_text()
    tree = _subclasses(errors.RealtimeError)
    assert _rows("errors.md") == {each.code for each in tree}
    for each in tree:
        assert f"| `{each.code}` | {each.http_status} |" in text


def test_every_socket_event_is_documented_and_no_other() -> None:
    """docs/events.md has, for each namespace, a row for each event that its door handles or sends."""
    first, *others = (ROOT / "docs/events.md").read_text().split("\n## /")
    chapters = {"/": first, **{f"/{other.partition(chr(10))[0]}": other for other in others}}
    assert set(chapters) == set(NAMESPACES)
    for namespace, files in NAMESPACES.items():
        source = "".join((ROOT / "app" / name).read_text() for name in files)
        sent = set(re.findall(r'(?:emit\(\s*|encode\(\(?)"([\w ]+)"', source))
        prefix = "socket:" if namespace == "/" else f"socket:{namespace}:"
        doors = {door.removeprefix(prefix) for door in rights.DOORS if door.startswith(prefix)}
        handled = {door for door in doors if not door.startswith("/")}
        rows = set(re.findall(r"^\| `([\w ]+)` \|", chapters[namespace], re.MULTILINE))
        assert rows == sent | (handled - {"connect", "disconnect"})
        for event in handled:
            assert f'"{event}"' in source
