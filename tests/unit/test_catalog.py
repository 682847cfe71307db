"""The catalogue: what @job makes of a function, and which files are found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.catalog import Catalog, job
from app.config import load_settings
from app.errors import ConfigError, InvalidParameters, NotFound
from tests.unit.jobfiles import GOOD, call, error_of, load, own, put

untyped: Any = job  # for arguments that a type checker refuses


def test_the_decorator_leaves_the_function_as_it_is() -> None:
    """A job can still be called and tested like any function."""

    def function(n: int) -> int:
        return n + 1

    assert job(function) is function
    assert job(title="Add one", secrets=["123456"])(function) is function
    assert job("Add one")(function) is function
    assert function(1) == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: untyped(title=5), "the title should be a text"),
        (lambda: job(secrets="password"), "secrets should be a list of texts"),
        (lambda: job(secrets=["12345"]), "at least 6 characters"),
        (lambda: untyped(secrets=[None]), "at least 6 characters"),
        (lambda: untyped()(5), "@job stands above a function"),
        (lambda: job(title="x")(print), "@job stands above a function"),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_stands(wrong: Callable[[], object], words: str) -> None:
    """Each argument of the decorator is checked, and no secret is repeated."""
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        wrong()
    assert "12345" not in str(caught.value).replace("6 characters", "")


def test_a_job_has_what_the_page_shows(job_folder: Path) -> None:
    """Title, help, parameters and the injected names come from the function."""
    put(
        job_folder,
        "report",
        '''
from __future__ import annotations
from app.catalog import job

@job(title="  Weekly   report ", secrets=["hunter2-hunter2"])
async def make_report(running, token, *, user, lines: int = 3):
    """Writes the report.

    It takes long:

        very long.
    """

@job
def second_one(): pass
''',
    )
    catalog = load(job_folder)
    found = catalog.get("make_report")
    assert (found.title, found.summary, found.help) == (
        "Weekly report",
        "Writes the report.",
        "It takes long:\n\n    very long.",
    )
    assert (found.executor, found.is_async, found.error) == ("thread", True, None)
    assert found.injected == {"running", "token", "user"}
    assert found.where == "work/report.py, line 5"
    assert list(found.schema["properties"]) == ["lines"]
    assert found.secrets == ("hunter2-hunter2",)
    assert "hunter2" not in repr(found)
    with pytest.raises(InvalidParameters):
        found.parse({"lines": "many"})
    second = catalog.get("second_one")
    assert (second.title, second.summary, second.help, second.is_async) == ("Second one", "", "", False)


def test_jobs_are_listed_by_title(job_folder: Path) -> None:
    """The list is in the order in which people look for titles."""
    for name, title in (("a", "beta"), ("b", "Alpha"), ("c", "Gamma")):
        put(job_folder, name, f"from app.catalog import job\n@job(title={title!r})\ndef {name}(): pass\n")
    assert [each.title for each in own(load(job_folder)).values()] == ["Alpha", "Beta", "Gamma"]


def test_the_example_is_always_there(job_folder: Path) -> None:
    """The job that starts without being named is found although no setting names it."""
    assert load(job_folder).example.name == "list_spaces"
    assert load().example.title == "List my spaces"


def test_the_jobs_that_come_along_are_whole() -> None:
    """The jobs of this repository load."""
    assert {"count", "noisy", "fails"} <= set(own(Catalog(load_settings(None))))
    assert [each.name for each in Catalog(load_settings(None)).jobs() if each.error] == []


def test_an_unknown_job_is_not_found(job_folder: Path) -> None:
    """A name that no job has, however odd, is simply not found."""
    for name in ("nope", "", "__class__", "../secret", "x" * 100_000, "\ud800"):
        with pytest.raises(NotFound):
            load(job_folder).get(name)


def test_a_job_that_two_files_know_is_one_job(job_folder: Path) -> None:
    """Importing a job's function, or giving it a second name, does not make it a duplicate."""
    put(job_folder, "a", "from .b import b\nother = b\n")
    put(job_folder, "b", result=1)
    assert list(own(load(job_folder))) == ["b"]


def test_files_that_are_no_job_files_are_left_alone(job_folder: Path) -> None:
    """Helpers begin with `_`; hidden files, other endings, folders and files without jobs show nothing."""
    put(job_folder, "_helper", "def help(): return 'helped'\n")
    put(job_folder, ".hidden", "(")
    put(job_folder, "plain", "x = 1\n")
    (job_folder / "notes.txt").write_text("(")
    (job_folder / "folder.py").mkdir()
    (job_folder / "inner").mkdir()
    put(job_folder / "inner", "deep", "(")
    put(job_folder, "main", "from ._helper import help\nfrom app.catalog import job\n@job\ndef main(): return help()\n")
    catalog = load(job_folder)
    assert list(own(catalog)) == ["main"]
    assert call(catalog, "main") == "helped"


def test_a_files_name_need_not_be_a_python_name(job_folder: Path) -> None:
    """Files with a hyphen or a blank load."""
    put(job_folder, "my-job 2", GOOD.format(name="mine", result=1))
    assert call(load(job_folder), "mine") == 1


def test_job_files_stay_out_of_each_others_and_pythons_way(
    job_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job file called like a library hides nothing, and two folders may have files of the same name."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    other = tmp_path / "other"
    other.mkdir()
    path = list(sys.path)
    put(job_folder, "json", GOOD.format(name="one", result=1) + "import json\nassert json.dumps({}) == '{}'\n")
    put(other, "json", GOOD.format(name="two", result=2))
    catalog = load(job_folder, other, f"{other}/.")
    assert (call(catalog, "one"), call(catalog, "two")) == (1, 2)
    assert list(own(catalog)) == ["one", "two"]
    assert sys.path == path
    assert "work" not in sys.modules
    assert not (job_folder / "__pycache__").exists()


def test_what_a_file_does_to_stdout_at_import_ends_with_the_import(
    job_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Printing at import is harmless, and a replaced stdout is put back."""
    put(job_folder, "loud", "import sys\nprint('hello')\nsys.stdout = sys.stderr = open('/dev/null', 'w')\n")
    before = sys.stdout, sys.stderr
    load(job_folder)
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "hello\n"


def test_a_place_that_is_not_there_stops_the_start(job_folder: Path, tmp_path: Path) -> None:
    """A setting that names nothing is one line that names the setting; a folder without files is fine."""
    assert own(load(job_folder)) == {}
    file = put(job_folder, "x", "")
    for place in (tmp_path / "missing", "no.such.module", "sys.no", file, "a b", "app.catalog.nothing", "é" * 5000):
        with pytest.raises(ConfigError, match=r"^JOBS: there is no folder and no module called"):
            load(place)


def test_a_default_folder_may_be_missing(tmp_path: Path) -> None:
    """Where nobody names a folder and there is none, the server starts with the example alone."""
    script = "from app.catalog import *; from app.config import *; print(len(Catalog(load_settings(None)).jobs()))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"


def test_a_dotted_module_and_a_package_give_their_jobs(module_folder: Path) -> None:
    """`JOBS` may name modules; a package may gather the jobs of its modules."""
    put(module_folder, "single_jobs", GOOD.format(name="single", result=1))
    package = module_folder / "company_jobs"
    package.mkdir()
    put(package, "__init__", "from company_jobs.one import one\nfrom .two import two\n")
    put(package, "one", result="one")
    put(package, "two", result="two")
    put(package, "broken", "1 / 0")
    catalog = load("single_jobs", "company_jobs", "company_jobs.broken")
    assert [call(catalog, name) for name in ("single", "one", "two")] == [1, "one", "two"]
    assert error_of(catalog, "broken") == "company_jobs/broken.py, line 1: ZeroDivisionError: division by zero"
    assert sys.modules["single_jobs"].single is catalog.get("single").function
