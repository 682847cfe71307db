"""Trying again in CI: what a test or two that failed may do, and what stays a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import test as script

# Fails until it was called so many times.
UNSTEADY = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_counts(number):
    calls = Path(__file__).with_name(f"calls{{number}}")
    before = calls.read_text() if calls.exists() else ""
    calls.write_text(before + "+")
    assert len(before) >= {failures}

def test_steady():
    Path(__file__).with_name("steady").open("a").write("+")
"""

CRASH = """
import os
from pathlib import Path

def test_crashes():
    if not Path(__file__).with_name("crashed").exists():
        Path(__file__).with_name("crashed").touch()
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the script takes for the project's."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "NEEDS", {})
    # To start sooner.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "xdist.plugin")
    return tmp_path


def run(suite: Path, *options: str, tests: int = 1, failures: int = 1) -> int:
    """The script's exit code for tests of which so many fail at first."""
    (suite / "test_it.py").write_text(UNSTEADY.format(tests=tests, failures=failures))
    return script.main([*options, "-n", "0"])


def test_two_that_failed_once_pass_and_are_named(suite: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They have to pass three times; what has passed is not tried again; the failure stays to be read."""
    assert run(suite, "--again", "--nothing-left-out", tests=2) == 0
    printed = capfd.readouterr().out
    assert "2 failed, 1 passed" in printed
    assert "assert 0 >= 1" in printed
    for number in range(2):
        assert f"Unsteady: test_it.py::test_counts[{number}] failed above, and then passed 3 times." in printed
        assert (suite / f"calls{number}").read_text() == "++++"
    assert (suite / "steady").read_text() == "+"


@pytest.mark.parametrize(
    ("options", "tests", "failures", "calls"),
    [
        pytest.param([], 1, 1, 1, id="without the option"),
        pytest.param(["--again"], 3, 1, 1, id="three that failed"),
        pytest.param(["--again"], 1, 2, 2, id="a second failure"),
        pytest.param(["--again"], 1, 99, 2, id="always"),
    ],
)
def test_all_else_is_a_failure(suite: Path, options: list[str], tests: int, failures: int, calls: int) -> None:
    """As without it."""
    assert run(suite, *options, tests=tests, failures=failures) == 1
    assert (suite / "calls0").read_text() == "+" * calls


def test_a_process_of_tests_that_crashes_is_a_failure(suite: Path) -> None:
    """Whatever it tested might be at fault."""
    (suite / "test_it.py").write_text(CRASH)
    (suite / "test_other.py").write_text("def test_other(): pass\n")
    assert script.main(["--again"]) != 0


def test_one_that_is_skipped_is_a_failure_still(suite: Path) -> None:
    """Nothing is left out because something else was unsteady."""
    (suite / "test_more.py").write_text("import pytest\n@pytest.mark.skip\ndef test_left_out(): pass\n")
    assert run(suite, "--again", "--nothing-left-out") == 1
