"""What every run has to keep to, whatever happened: the witness' file, the stored output and every viewer agree."""

from __future__ import annotations

import zlib
from pathlib import Path

import requests

from tests.serving import Server
from tests.watcher import Watcher


def numbers(count: int, width: int = 0) -> str:
    """What the job `lines` prints."""
    return "".join(f"{number:0{width}d}\n" for number in range(count))


def whole_lines(data: bytes) -> int:
    """How many lines the witness printed; each has the next number and the right checksum."""
    lines = data.decode().splitlines()
    for number, line in enumerate(lines):
        text, _, checksum = line.rpartition(",")
        assert text.startswith(f"{number},"), (number, line[:100])
        assert checksum == f"{zlib.crc32(text.encode()):08x}", line[:100]
    return len(lines)


def check_run(
    server: Server, person: requests.Session, run: str, file: Path, *watchers: Watcher, whole: bool = True
) -> bytes:
    """Stored is what the witness wrote down, or the beginning of it where its server died; viewers saw just that."""
    stored, written = server.output(person, run), file.read_bytes()
    assert stored == (written if whole else written[: len(stored)]), difference(stored, written)
    text = stored.decode("utf-8", "replace")
    for watcher in watchers:
        assert watcher.wrong == []
        assert watcher.text == text, difference(watcher.text.encode(), stored)
    return stored


def difference(found: bytes, expected: bytes) -> str:
    """Where two outputs part, in few words."""
    common = next((n for n, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), -1)
    at = common if common >= 0 else min(len(found), len(expected))
    return f"{len(found)} of {len(expected)} bytes, at {at}: {found[at : at + 60]!r} for {expected[at : at + 60]!r}"
