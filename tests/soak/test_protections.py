"""The protections and their tests: with one of them taken out of a copy of the product, its tests have to fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving import ROOT

LINKED = (".venv", "vendor", "node_modules")
LEFT_OUT = (".git", "redis_data", "instance", "__pycache__", ".*_cache")


@dataclass(frozen=True)
class Protection:
    """A line of the product, what stands there without the protection, and the tests that must notice."""

    file: str
    line: str
    without: str
    tests: tuple[str, ...]


PROTECTIONS = {
    "a record is stored once": Protection(
        "app/store/scripts.py",
        "if position ~= tonumber(ARGV[2]) then return position end\nfor i = 3",
        "for i = 3",
        (
            "integration/test_log.py::test_a_repeated_append_changes_nothing",
            "integration/test_store_faults.py::test_lost_answers_repeat_nothing",
        ),
    ),
    "an epoch fences late writers off": Protection(
        "app/store/scripts.py",
        "if run[1] ~= ARGV[1] or run[3] then return -1 end\nlocal position = tonumber(run[2])\n"
        "if position ~= tonumber(ARGV[2]) then return position end\nfor i = 3",
        "if run[3] then return -1 end\nlocal position = tonumber(run[2])\n"
        "if position ~= tonumber(ARGV[2]) then return position end\nfor i = 3",
        ("integration/test_log.py::test_a_writer_of_another_epoch_is_refused",),
    ),
    "nothing is stored after the end": Protection(
        "app/store/scripts.py",
        "if run[1] ~= ARGV[1] or run[3] then return -1 end\nlocal position = tonumber(run[2])\n"
        "if position ~= tonumber(ARGV[2]) then return position end\nfor i = 3",
        "if run[1] ~= ARGV[1] then return -1 end\nlocal position = tonumber(run[2])\n"
        "if position ~= tonumber(ARGV[2]) then return position end\nfor i = 3",
        (
            "integration/test_log.py::test_nothing_is_stored_after_the_final_status",
            "integration/test_leases.py::test_a_lost_runs_writer_is_fenced_and_asked_to_stop",
        ),
    ),
    "a run ends once": Protection(
        "app/store/scripts.py",
        "if not run[1] or run[3] or (epoch",
        "if not run[1] or (epoch",
        ("integration/test_log.py::test_a_run_gets_exactly_one_final_status",),
    ),
    "a run ends with all of its output": Protection(
        "app/store/scripts.py",
        "run[2] ~= ARGV[3] then return -1 end",
        "run[2] ~= ARGV[3] then local _ = 0 end",
        ("integration/test_log_faults.py::test_a_forgotten_tail_is_stored_again",),
    ),
    "an ended session stops nothing": Protection(
        "app/store/scripts.py",
        "if KEYS[7] and redis.call('EXPIRE', KEYS[7], ARGV[3]) == 0 then return -1 end\n",
        "",
        ("integration/test_socket_door.py::test_what_an_ended_session_asks_for_is_not_done",),
    ),
    "a lease that is there saves its run": Protection(
        "app/lease.py",
        "if misses >= MISSES",
        "if misses >= 1",
        ("integration/test_leases.py::test_a_living_holder_restores_an_expired_lease_in_time",),
    ),
    "a dead node's runs are found": Protection(
        "app/lease.py",
        "if misses >= MISSES",
        "if misses >= 10 * MISSES",
        ("integration/test_leases.py::test_a_dead_nodes_run_is_lost_once",),
    ),
    "no viewer is sent more than its window": Protection(
        "app/viewer.py",
        "return size <= self.allowance or self.position == self.acknowledged",
        "return True",
        ("integration/test_console.py::test_a_viewer_that_does_not_acknowledge_gets_one_window",),
    ),
    "secrets are masked": Protection(
        "app/masking.py",
        "                data = data.replace(form, MASK)\n",
        "                pass\n",
        (
            "integration/test_log.py::test_secrets_are_masked_before_they_are_stored",
            "integration/test_console.py::test_the_job_runs_as_the_user_and_no_token_is_shown",
        ),
    ),
    "a secret in two parts is masked": Protection(
        "app/masking.py",
        "        return max((_overlap(tail, form) for form in self._forms), default=0)",
        "        return 0",
        ("integration/test_log.py::test_secrets_are_masked_before_they_are_stored",),
    ),
}


def _copy(to: Path) -> None:
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*LINKED, *LEFT_OUT), symlinks=True)
    for name in LINKED:
        if (ROOT / name).exists():
            (to / name).symlink_to(ROOT / name)


def _outcomes(folder: Path, tests: tuple[str, ...]) -> dict[str, str]:
    """Each of these tests and how it ended: `passed`, `failed`, or what else pytest calls it."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        *(f"tests/{t}" for t in tests),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    words = [line.split(" - ")[0].split(maxsplit=1) for line in done.stdout.splitlines() if "::" in line]
    found = {}
    for test in tests:
        ends = {word.lower() for word, *rest in words if rest and rest[0].split("[")[0] == f"tests/{test}"}
        found[test] = "failed" if "failed" in ends else ", ".join(sorted(ends)) or done.stdout[-2000:]
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PROTECTIONS)
def test_the_tests_notice_when_a_protection_is_off(name: str, tmp_path: Path) -> None:
    """The same tests pass with it and fail without it."""
    protection = PROTECTIONS[name]
    folder = tmp_path / "product"
    _copy(folder)
    assert _outcomes(folder, protection.tests) == dict.fromkeys(protection.tests, "passed")
    file = folder / protection.file
    text = file.read_text()
    assert text.count(protection.line) == 1, f"{protection.file} has changed: name the line anew"
    file.write_text(text.replace(protection.line, protection.without))
    assert _outcomes(folder, protection.tests) == dict.fromkeys(protection.tests, "failed")
