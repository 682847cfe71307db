"""Job files for tests: folders to put them in, and short ways to load and call them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.catalog import Catalog, Job
from app.config import load_settings
from app.errors import JobBroken

GOOD = """
from app.catalog import job

@job
def {name}(steps: int = 1):
    '''Counts.'''
    return {result!r}
"""


@pytest.fixture
def job_folder(tmp_path: Path) -> Path:
    """An empty folder for job files."""
    made = tmp_path / "work"
    made.mkdir()
    return made


@pytest.fixture
def module_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on Python's path, for modules that `JOBS` names; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def load(*places: Path | str, **settings: Any) -> Catalog:
    """The catalogue of these places."""
    return Catalog(load_settings(None, jobs=tuple(str(place) for place in places), **settings))


def put(folder: Path, name: str, text: str | None = None, result: object = None) -> Path:
    """Write a job file; without text: a job called like the file, which returns `result`."""
    file = folder / f"{name}.py"
    file.write_text(GOOD.format(name=name, result=result) if text is None else text)
    return file


def own(catalog: Catalog) -> dict[str, Job]:
    """The jobs but for the example, by name."""
    return {each.name: each for each in catalog.jobs() if each.name != "list_spaces"}


def call(catalog: Catalog, name: str) -> object:
    """What the job's function returns for its defaults."""
    found = catalog.get(name)
    return found.function(**found.parse({}))


def error_of(catalog: Catalog, name: str) -> str:
    """Why a job is broken."""
    with pytest.raises(JobBroken) as caught:
        catalog.get(name)
    assert own(catalog)[name].error == str(caught.value)
    return str(caught.value)
