"""docs/rpc.md: its lines work as they stand, and it tells all that JSON-RPC does."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import requests

from app import cross_origin, rights, rpc_errors, rpc_methods
from app.celery_echo import LONGEST_TEXT
from app.errors import RealtimeError
from app.rpc_methods import methods
from app.rpc_protocol import MOST_CALLS, Protocol
from app.tasks import STATES
from tests.serving import Server

PAGE = (Path(__file__).parents[2] / "docs" / "rpc.md").read_text()
LINES = re.compile(r"^    ((?:[A-Z]+=|curl ).*)$", re.MULTILINE)
ROW = re.compile(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \|", re.MULTILINE)


def lines_of(celery: bool) -> list[str]:
    """The lines of the page: those of its Celery part, or the others; both begin with the first ones."""
    before, _, rest = PAGE.partition("## Celery")
    part, _, after = rest.partition("## Errors")
    first = LINES.findall(before)[:3]
    return first + LINES.findall(part) if celery else LINES.findall(before + after)


def run_lines(lines: list[str], url: str, token: str) -> list[str]:
    """What the lines have answered, as one script."""
    script = "set -euo pipefail\n" + "\necho; echo ---\n".join(lines)
    environment = {**os.environ, "URL": url, "TOKEN": token}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr)
    answers = done.stdout.split("---\n")
    assert len(answers) == len(lines)
    return answers


def test_its_lines_work(server: Server, person: requests.Session, new_token: Callable[..., str]) -> None:
    """All lines but those for Celery, which another test runs, are a script that shows what it promises."""
    answers = run_lines(lines_of(celery=False), server.url, new_token(server.url, person))
    assert '"result": "text"' in answers[3]
    assert not any('"error"' in each for each in answers)
    assert '"records"' in answers[6]
    assert answers[7].count('"job": "count"') == 2


def test_it_has_each_method_with_its_parameters_and_scope() -> None:
    """One row for each method, and no other."""
    table = PAGE.partition("## Methods")[2].partition("## Celery")[0]
    rows = {name: (params, scope) for name, params, scope in ROW.findall(table.replace("| | `read`", "|  | `read`"))}
    assert set(rows) == {door.removeprefix("rpc:") for door in rights.DOORS if door.startswith("rpc:")}
    assert set(rows) == set(Protocol().get_root_group().list_methods(recursive=True))
    for name, method in methods().items():
        params, scope = rows[name]
        fields = dataclasses.fields(method.params_type) if dataclasses.is_dataclass(method.params_type) else ()
        assert re.findall(r"`(\w+)`", params) == [each.name for each in fields], name
        wanted = rights.SCOPES[rights.DOORS[f"rpc:{name}"]]
        assert scope == (f"`{wanted}`" if wanted else "any"), name


def test_it_has_each_error_and_no_other() -> None:
    """One row for each number and code; each code of the tree that can travel has a number."""
    table = PAGE.partition("## Errors")[2].partition("## Pages")[0]
    rows = {(int(number), code) for number, code in re.findall(r"^\| (-\d+) \| `(\w+)` \|", table, re.MULTILINE)}
    own = {(number, code) for number, (_, code) in rpc_errors.OWN.items()}
    assert rows == own | {(number, kind.code) for kind, number in rpc_errors.NUMBERS.items()}
    tree = {kind for kind in RealtimeError.__subclasses__() if kind.__module__ == "app.errors"}
    assert {kind.code for kind in tree} - {kind.code for kind in rpc_errors.NUMBERS} == {"config"}
    numbers = [number for kind, number in rpc_errors.NUMBERS.items() if number != rpc_errors.INVALID_PARAMS]
    assert len(numbers) == len(set(numbers))
    assert all(-32099 <= number <= -32000 for number in numbers)


def test_it_has_each_state_and_header() -> None:
    """States of tasks, and what pages of other origins may send and read."""
    for state in STATES.values():
        assert f"| `{state}` |" in PAGE
    for rules in cross_origin.DOORS.values():
        for name in [*rules["allow_headers"], *rules.get("expose_headers", [])]:
            assert f"`{name}`" in PAGE
        assert ", ".join(rules["methods"]) in PAGE
    assert f"Access-Control-Max-Age: {cross_origin.MAX_AGE}" in PAGE


def test_it_has_the_limits() -> None:
    """Each number is the code's."""
    for number in (
        f"up to {MOST_CALLS} calls",
        f"up to {rpc_methods.LONGEST_TEXT:,} characters",
        f"up to {LONGEST_TEXT:,} characters",
        f"({rpc_methods.OUTPUT_BYTES:,}; at most {rpc_methods.MOST_OUTPUT_BYTES:,})",
        f"about {rpc_methods.MOST_ANSWER_BYTES >> 20} MiB",
    ):
        assert number in PAGE, number
