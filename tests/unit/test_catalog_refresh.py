"""Development: a saved job file is live at the next Start; a running job keeps what it started with."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.errors import JobBroken, NotFound
from tests.unit.jobfiles import call, error_of, load, own, put

GOOD_A = "from app.catalog import job\n@job\ndef a(): return {}\n"


def test_saved_new_and_deleted_files_are_seen(job_folder: Path) -> None:
    """A refresh reads what was saved, adds what is new and drops what is gone."""
    put(job_folder, "a", result=1)
    gone = put(job_folder, "b", result=1)
    catalog = load(job_folder)
    put(job_folder, "a", result=2)
    put(job_folder, "c", result=3)
    gone.unlink()
    assert catalog.stale()
    catalog.refresh()
    assert not catalog.stale()
    assert list(own(catalog)) == ["a", "c"]
    assert (call(catalog, "a"), call(catalog, "c")) == (2, 3)
    with pytest.raises(NotFound):
        catalog.get("b")


def test_each_save_counts_even_in_the_same_second_and_of_the_same_size(
    job_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither cached bytecode nor a whole second hides a change."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = put(job_folder, "a", result=0)
    catalog = load(job_folder)
    for number in range(1, 10):
        new = put(job_folder, "new_a", GOOD_A.format(number))
        new.replace(file)  # as editors save
        catalog.refresh()
        assert call(catalog, "a") == number


def test_a_changed_helper_is_live_too(job_folder: Path) -> None:
    """A job sees the saved state of what it imports from its folder, from subfolders, and when it fails there."""
    inner = job_folder / "inner"
    inner.mkdir()
    put(inner, "deep", "x = 1\n")
    put(job_folder, "_helper", "from .inner.deep import x\ny = 1\n")
    put(job_folder, "a", "from ._helper import x, y\nfrom app.catalog import job\n@job\ndef a(): return x, y\n")
    catalog = load(job_folder)
    assert call(catalog, "a") == (1, 1)
    put(inner, "deep", "x = 2\n")
    catalog.refresh()
    assert call(catalog, "a") == (2, 1)
    put(job_folder, "_helper", "oops(\n")
    catalog.refresh()
    assert error_of(catalog, "a") == "work/_helper.py, line 1: SyntaxError: '(' was never closed"
    put(job_folder, "_helper", "x = y = 3\n")
    catalog.refresh()
    assert call(catalog, "a") == (3, 3)
    put(inner, "deep", "nobody asks any more(")
    catalog.refresh()
    assert call(catalog, "a") == (3, 3)


def test_nothing_is_loaded_again_without_a_change(job_folder: Path) -> None:
    """A refresh without a change keeps the functions, and a touched neighbour does not matter where it is no file."""
    put(job_folder, "a", result=1)
    put(job_folder, "broken", "(")
    catalog = load(job_folder)
    function = catalog.get("a").function
    (job_folder / "notes.txt").write_text("x")
    for _ in range(3):
        assert not catalog.stale()
        catalog.refresh()
    assert catalog.get("a").function is function


def test_a_half_saved_file_shows_its_error_and_heals(job_folder: Path) -> None:
    """While a file is broken its jobs, known by their own names, say why; the next good save brings them back."""
    text = "from app.catalog import job\n@job(title='Weekly report')\ndef report(): return 1\n"
    put(job_folder, "weekly", text)
    put(job_folder, "other", result=1)
    catalog = load(job_folder)
    put(job_folder, "weekly", text[:-12])
    catalog.refresh()
    assert "SyntaxError" in error_of(catalog, "report")
    assert own(catalog)["report"].title == "Weekly report"
    assert call(catalog, "other") == 1
    put(job_folder, "weekly", text)
    catalog.refresh()
    assert call(catalog, "report") == 1
    assert sorted(own(catalog)) == ["other", "report"]


def test_a_run_in_progress_keeps_its_old_function(job_folder: Path) -> None:
    """What started before a save goes on with its own code and helpers, also with what it asks for late."""
    put(job_folder, "_helper", "version = 1\n")
    text = """
from app.catalog import job
from . import _helper
VERSION = {}

@job
def a(run):
    run()
    from ._helper import version
    return VERSION, version
"""
    put(job_folder, "a", text.format(1))
    catalog = load(job_folder)
    started, saved = threading.Event(), threading.Event()
    results: list[object] = []

    def wait() -> None:
        started.set()
        saved.wait(10)

    function = catalog.get("a").function
    run = threading.Thread(target=lambda: results.append(function(wait)))
    run.start()
    assert started.wait(10)
    put(job_folder, "a", text.format(2))
    put(job_folder, "_helper", "version = 2\n")
    catalog.refresh()
    saved.set()
    run.join()
    assert results == [(1, 1)]
    assert catalog.get("a").function(wait) == (2, 2)


def test_old_versions_do_not_pile_up(job_folder: Path) -> None:
    """Saving all day does not fill the memory with old modules."""
    catalog = load(job_folder)
    for number in range(30):
        put(job_folder, "a", result=number)
        catalog.refresh()
    assert (
        sum("_realtime_jobs_" in name and str(job_folder) in str(vars(module)) for name, module in sys.modules.items())
        < 20
    )


def test_a_folder_may_go_and_come_back(job_folder: Path) -> None:
    """A folder that is gone for a moment, as while a branch is changed, is a broken job and no crash."""
    put(job_folder, "a", result=1)
    catalog = load(job_folder)
    kept = job_folder.with_name("kept")
    job_folder.rename(kept)
    catalog.refresh()
    assert error_of(catalog, "work") == "work: No such file or directory"
    kept.rename(job_folder)
    catalog.refresh()
    assert call(catalog, "a") == 1
    assert list(own(catalog)) == ["a"]


def test_a_dotted_module_is_live_too(module_folder: Path) -> None:
    """A saved module is read again, and the program keeps the old one while the new one is broken."""
    file = put(module_folder, "live_jobs", GOOD_A.format(1))
    catalog = load("live_jobs")
    put(module_folder, "live_jobs", GOOD_A.format(2))
    catalog.refresh()
    assert call(catalog, "a") == 2
    put(module_folder, "live_jobs", GOOD_A.format("1 / 0 +"))
    catalog.refresh()
    assert "live_jobs.py, line 3: SyntaxError" in error_of(catalog, "a")
    assert sys.modules["live_jobs"].a() == 2
    file.unlink()
    catalog.refresh()
    assert "No module named 'live_jobs'" in error_of(catalog, "a")
    put(module_folder, "live_jobs", GOOD_A.format(3))
    catalog.refresh()
    assert call(catalog, "a") == 3


def test_a_package_is_live_too(module_folder: Path) -> None:
    """A change in a module of a named package is seen."""
    package = module_folder / "live_package"
    package.mkdir()
    put(package, "__init__", "from .a import a\n")
    put(package, "a", GOOD_A.format(1))
    catalog = load("live_package")
    for number in range(2, 5):
        put(package, "a", GOOD_A.format(number))
        catalog.refresh()
        assert call(catalog, "a") == number


def test_production_reads_files_once(job_folder: Path) -> None:
    """In production a saved file waits for the restart."""
    put(job_folder, "a", result=1)
    catalog = load(
        job_folder,
        environment="production",
        client_id="id",
        client_secret="a-client-secret",
        secret_key="k" * 32,
        token_keys=(Fernet.generate_key().decode(),),
        redis_url="redis://localhost",
    )
    put(job_folder, "a", result=2)
    assert not catalog.stale()
    catalog.refresh()
    assert call(catalog, "a") == 1


def test_many_refreshes_at_once_agree(job_folder: Path) -> None:
    """Readers and refreshing threads never see a half-built catalogue or an error that is none."""
    put(job_folder, "a", result=0)
    put(job_folder, "still", result="here")
    catalog = load(job_folder)
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            catalog.refresh()
            try:
                assert call(catalog, "still") == "here"
                assert {"a", "still"} <= {each.name for each in catalog.jobs()}
            except (AssertionError, JobBroken, NotFound) as error:
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, 30):
            new = job_folder / "new"
            new.write_text(GOOD_A.format(number))
            new.replace(job_folder / "a.py")
            catalog.refresh()
            assert call(catalog, "a") == number
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
