"""docs/jobs.md: its examples load, its tables are true."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.catalog import Catalog
from app.errors import InvalidParameters
from app.forms import fields
from app.model import User
from app.parameters import INJECTED
from tests.unit.jobfiles import load, own

TEXT = (Path(__file__).parents[2] / "docs/jobs.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^`jobs/(\w+)\.py`:\n\n```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
TYPES = re.findall(
    r"^\| `((?:[^`]|\\\|)+)`(.*?) \| (.+?) \|(?: `(.+?)`)? \|$", TEXT.split("## Parameters")[1], re.MULTILINE
)
KINDS = {
    "a line of text": "text",
    "a number field": ("number", "integer"),
    "a box to tick": "boolean",
    "a date": ("date", "datetime"),
    "a time of day": "time",
    "a choice": "choice",
    "as the type before": "integer",
    "a list of such fields": "list",
}


@pytest.fixture
def examples(job_folder: Path) -> Catalog:
    """The catalogue of the page's examples, each in the file that the page names."""
    for name, text in EXAMPLES.items():
        (job_folder / f"{name}.py").write_text(text, encoding="utf-8")
    return load(job_folder)


def test_every_example_on_the_page_is_a_job_that_loads(examples: Catalog) -> None:
    """Each code block is a whole file, named above it, with one job of that name."""
    assert TEXT.count("```python") == len(EXAMPLES) == 4
    assert {name: each.error for name, each in own(examples).items()} == dict.fromkeys(EXAMPLES)
    assert examples.get("greet").summary == "Says hello."


def test_the_examples_do_what_the_page_says(examples: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    """The examples run, and print what one reads in them."""
    greet, copy_files, wait, order = (examples.get(name) for name in ("greet", "copy_files", "wait", "order"))
    greet.function(**greet.parse({"name": "world", "times": "2"}))
    assert capsys.readouterr().out == "Hello, world!\nHello, world!\n"

    told: list[tuple[float, float]] = []

    class Run:
        def progress(self, done: float, total: float) -> None:
            told.append((done, total))

    going = iter([True, True, False])
    given: dict[str, Any] = {"running": lambda: next(going), "user": User("1", "Ada", ""), "run": Run()}
    copy_files.function(**given, **copy_files.parse({}))
    assert capsys.readouterr().out == "For Ada:\nStopped after 2 files.\n"
    assert told == [(1, 20), (2, 20)]

    assert wait.is_async
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    asyncio.run(wait.function(**wait.parse({"until": past})))
    assert capsys.readouterr().out == "\nGoodbye.\n"

    values = {"pens": 5, "colour": "red", "tip": "broad", "day": "2025-12-31", "copies_to": "a\nb", "note": "Thanks!"}
    order.function(**order.parse(values))
    assert capsys.readouterr().out == "5 red pens, broad, on 31 December 2025. Thanks!\nCopies: a, b - budget: none\n"
    with pytest.raises(InvalidParameters) as caught:
        order.parse({"note": "NOW", "pens": 0})
    assert caught.value.fields == {
        "note": "Please do not shout.",
        "pens": "Input should be greater than or equal to 1",
    }


def test_the_table_of_types_is_true(job_folder: Path) -> None:
    """Each row's type makes a job, its example is accepted, and its field is the one that the row tells of."""
    assert len(TYPES) == 12
    head = (
        "from datetime import date, datetime, time\nfrom decimal import Decimal\nfrom enum import Enum\n"
        "from typing import Literal\nfrom app.catalog import job\nclass Colour(Enum):\n    RED = 'red'\n"
    )
    functions = [
        f"@job\ndef row{number}(value: {kind}): return value\n".replace("\\|", "|")
        for number, (kind, *_) in enumerate(TYPES)
    ]
    (job_folder / "rows.py").write_text(head + "".join(functions))
    catalog = load(job_folder)
    for number, (_, _, look, example) in enumerate(TYPES):
        found = catalog.get(f"row{number}")
        assert "value" in found.parse({"value": example})
        (shown,) = fields(found.schema)
        assert shown.kind in next(kinds for words, kinds in KINDS.items() if look.startswith(words))


def test_the_names_that_are_given_are_all_listed() -> None:
    """The page lists the injected names, and no other."""
    part = TEXT.split("## Names that are given")[1].split("##")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) == INJECTED


def test_the_limits_are_those_of_the_code() -> None:
    """The page's figures are the ones in force."""
    from app.shapes import MAX_CHARACTERS, MAX_DIGITS, MAX_ITEMS

    words = " ".join(TEXT.split())
    limits = f"{MAX_CHARACTERS:,} characters at most, a list {MAX_ITEMS:,} entries, a number {MAX_DIGITS:,} digits"
    assert limits in words
