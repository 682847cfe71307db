"""docs/faults.md names tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/faults.md").read_text(encoding="utf-8")


def _tests() -> set[str]:
    """All tests, as the page names them."""
    return {
        f"{file.name}::{each.name}"
        for file in (ROOT / "tests").rglob("test_*.py")
        for each in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    }


def test_every_fault_names_a_test_and_every_test_exists() -> None:
    """Each row has at least one test, and no test that has gone."""
    rows = re.findall(r"^\| (\d+) \|.*?\| ([^|]*) \|$", TEXT, re.MULTILINE)
    named = {int(number): re.findall(r"`(test_\w+\.py::test_\w+)`", tests) for number, tests in rows}
    assert len(named) == len(rows) == len(re.findall(r"^\| \d", TEXT, re.MULTILINE))
    assert sorted(named) == list(named)
    assert all(named.values())
    assert {test for tests in named.values() for test in tests} - _tests() == set()
