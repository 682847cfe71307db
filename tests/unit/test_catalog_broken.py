"""The catalogue: what a broken job file does: it tells why, and harms nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.catalog import Catalog
from app.config import load_settings
from app.errors import JobBroken
from tests.unit.jobfiles import GOOD, call, error_of, load, own, put

BROKEN = {
    "syntax": ("x = 1\ndef broken(:\n", "work/broken.py, line 2: SyntaxError: invalid syntax"),
    "indent": ("def f():\nx", "work/broken.py, line 2: IndentationError: expected an indented block"),
    "import": ("\n\nimport no_such_thing", "line 3: ModuleNotFoundError: No module named 'no_such_thing'"),
    "beside": ("import helper", "for a file beside this one write `from .helper import ...`"),
    "exception": ("def f():\n    return 1 / 0\nf()", "work/broken.py, line 2: ZeroDivisionError: division by zero"),
    "exit": ("import sys\nsys.exit(3)", "work/broken.py, line 2: SystemExit: 3"),
    "quit": ("raise SystemExit", "work/broken.py, line 1: SystemExit"),
    "cancelled": ("import asyncio\nraise asyncio.CancelledError", "line 2: CancelledError"),
    "recursion": ("def f(): f()\nf()", "work/broken.py, line 1: RecursionError: maximum recursion depth exceeded"),
    "nesting": ("(" * 500 + ")" * 500, "SyntaxError: too many nested parentheses"),
    "nul": ("x = 1\0", "SyntaxError: source code string cannot contain null bytes"),
    "compiled": ("\ncompile('(', 'x', 'exec')", "work/broken.py, line 2: SyntaxError: '(' was never closed"),
    "helper": ("from .bad import x", "work/bad.py, line 1: SyntaxError"),
    "lines": ("raise ValueError('a\\n  b\\x1b[31m\\r\\n' + 'c' * 10_000)", "ValueError: a b?[31m ccc"),
    "decorator": ("from app.catalog import job\njob(secrets='x')", "line 2: TypeError: @job: secrets should be a list"),
    "string": ("class E(Exception):\n  def __str__(self): 1 / 0\nraise E", "work/broken.py, line 3: E"),
    "password": ("raise OSError('at https://me:swordfish@example.org/x')", "OSError: at https://me:***@example.org/x"),
    "setting": ("raise OSError('with top-secret-value')", "OSError: with ***"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_tells_what_and_where_and_harms_nothing(case: str, job_folder: Path) -> None:
    """One line with file, line and message stands in the place of the job; the other jobs work, and printing too."""
    text, words = BROKEN[case]
    put(job_folder, "a_first", result="works")
    put(job_folder, "broken", text)
    put(job_folder, "helper", "x = 1")
    put(job_folder, "_bad", "(")
    (job_folder / "bad.py").symlink_to(job_folder / "_bad.py")
    put(job_folder, "z_last", result="works too")
    settings = load_settings(None, jobs=(str(job_folder),), client_id="id", client_secret="top-secret-value")
    catalog = Catalog(settings)
    error = error_of(catalog, "broken")
    assert words in error
    assert len(error) < 500
    assert error.isprintable()
    assert own(catalog)["broken"].title == "work/broken.py"
    assert (call(catalog, "a_first"), call(catalog, "z_last")) == ("works", "works too")
    with pytest.raises(JobBroken):
        own(catalog)["broken"].function()


DECLARED = {
    "def f(*args): pass": "parameter `*args`: a job names each of its parameters",
    "def f(x: dict): pass": "parameter `x`: the type dict is not supported; possible are int, float",
    "def f(): yield 1": "a job has no `yield`: what it prints is its output",
    "async def f(): yield 1": "a job has no `yield`: what it prints is its output",
    "import functools\n@job\n@functools.wraps(print)\ndef f(*a): pass": "parameter `*",
    "def f(): pass\nf.__wrapped__ = f": "ValueError: wrapper loop",
}


@pytest.mark.parametrize("text", DECLARED)
def test_a_function_that_cannot_be_a_job_is_broken_alone(text: str, job_folder: Path) -> None:
    """The sentence names file, line and cause, and the other job of the file works."""
    marked = text if "@job" in text else f"@job\n{text}"
    put(job_folder, "two", f"from app.catalog import job\n@job\ndef good(): return 1\n{marked}\n")
    catalog = load(job_folder)
    (broken,) = (each for each in own(catalog).values() if each.error)
    assert str(broken.error).startswith("work/two.py, line ")
    assert DECLARED[text] in str(broken.error)
    assert call(catalog, "good") == 1


def test_names_that_fit_no_address_are_refused(job_folder: Path) -> None:
    """A function's name is part of the page's address, so it is plain."""
    put(job_folder, "odd", "from app.catalog import job\n@job\ndef zählen(): pass\nx = job(lambda: 1)\n")
    errors = {each.name: str(each.error) for each in own(load(job_folder)).values()}
    assert list(errors) == ["_lambda_", "z_hlen"]
    assert all("should have letters a to z, digits and `_` alone" in error for error in errors.values())


def test_an_executor_that_is_not_there_is_named(job_folder: Path) -> None:
    """A job for an executor that this server lacks says which ones it has."""
    put(job_folder, "far", "from app.catalog import job\n@job(executor='process')\ndef far(): pass\n")
    assert error_of(load(job_folder), "far") == (
        'work/far.py, line 2: executor "process" is not available here; this server has: "thread"'
    )
    settings = load_settings(None, jobs=(str(job_folder),))
    assert Catalog(settings, executors=("thread", "process")).get("far").executor == "process"


def test_the_second_job_of_a_name_is_broken_and_both_are_named(job_folder: Path) -> None:
    """The first file in order keeps the name; the other says where that one is."""
    put(job_folder, "a", GOOD.format(name="same", result="first"))
    put(job_folder, "b", GOOD.format(name="same", result="second"))
    catalog = load(job_folder)
    assert call(catalog, "same") == "first"
    assert error_of(catalog, "same-2") == (
        "work/b.py, line 4: a job called `same` is in work/a.py, line 4 already; rename one of them"
    )


def test_a_broken_file_does_not_take_the_name_of_a_working_job(job_folder: Path) -> None:
    """A broken file called like a job of another file steps aside, wherever it stands in order."""
    put(job_folder, "a", "(")
    put(job_folder, "b", GOOD.format(name="a", result="works"))
    catalog = load(job_folder)
    assert call(catalog, "a") == "works"
    assert "SyntaxError" in error_of(catalog, "a-2")


def test_files_that_cannot_be_read_say_why(job_folder: Path) -> None:
    """A loop of links, a dead link, a pipe, a device that fails and a name with dots are broken jobs, and no hang."""
    (job_folder / "loop.py").symlink_to(job_folder / "loop.py")
    (job_folder / "dead.py").symlink_to(job_folder / "nowhere")
    os.mkfifo(job_folder / "pipe.py")
    (job_folder / "device.py").symlink_to("/proc/self/mem")
    (job_folder / "latin.py").write_bytes("x = 'ä'\n".encode("latin-1"))
    put(job_folder, "two.dots", "x = 1")
    put(job_folder, "good", result=1)
    catalog = load(job_folder)
    assert error_of(catalog, "loop") == "work/loop.py: it cannot be read: Too many levels of symbolic links"
    assert error_of(catalog, "dead") == "work/dead.py: it cannot be read: No such file or directory"
    assert error_of(catalog, "pipe") == "work/pipe.py: it is not a regular file"
    assert error_of(catalog, "device") == "work/device.py: it cannot be read: Input/output error"
    assert "utf-8" in error_of(catalog, "latin")
    assert error_of(catalog, "two_dots") == "work/two.dots.py: a file's name may have no dot before `.py`"
    assert call(catalog, "good") == 1


def test_a_module_in_a_broken_package_is_broken(module_folder: Path) -> None:
    """A package that fails shows at the module that `JOBS` names in it."""
    package = module_folder / "failing_jobs"
    package.mkdir()
    put(package, "__init__", "raise ValueError('no luck')")
    put(package, "inside")
    assert "ValueError: no luck" in error_of(load("failing_jobs.inside"), "inside")
