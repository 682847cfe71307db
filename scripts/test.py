"""Run the tests that this machine can run, and say plainly what is left out and why.

`python scripts/test.py [--nothing-left-out] [--again] [what pytest should run]`. Both options are for CI: whatever is
missing or skipped is a failure with the first; with the second, a test or two that failed among thousands are tried
again by themselves, and named at the end (docs/adr/0030). Several files are tested at a time, each by one process;
`-n 0` among the arguments, or another number, changes that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
LEAST_WORKERS, MOST_WORKERS = 2, 4
# A process of tests that crashed is a failure; another one in its place would wait for work for ever.
CRASH_ENDS = ("--max-worker-restart", "0")
CRASHED = "crashed while running"
# So many tests may fail and be tried again, each so many times, which have to pass all.
MOST_UNSTEADY, TIMES_AGAIN = 2, 3
# Pytest's exit code where tests have failed, as opposed to its having been ended by something else.
TESTS_FAILED = 1
# Tests, and the program without which they cannot run.
NEEDS = {
    "tests/e2e": "chromium",
    "tests/e2e/test_clock_page.py": "faketime",
    "tests/integration/test_clocks.py": "faketime",
    "tests/integration/test_nginx.py": "nginx",
    "tests/integration/test_nginx_console.py": "nginx",
    "tests/integration/test_celery.py": "rabbitmq-server",
    "tests/integration/test_rpc_celery.py": "rabbitmq-server",
    "tests/integration/test_sandbox_files.py": "bwrap",
    "tests/integration/test_sandbox_limits.py": "bwrap",
    "tests/integration/test_sandbox_network.py": "bwrap",
    "tests/integration/test_sandbox_unprivileged.py": "bwrap",
    "tests/integration/test_sandbox_walls.py": "bwrap",
    "tests/integration/test_sandbox_without_walls.py": "bwrap",
    "tests/integration/test_typed_code.py": "bwrap",
    "tests/integration/test_typed_ends.py": "bwrap",
    "tests/integration/test_typed_input.py": "bwrap",
}


def main(arguments: list[str]) -> int:
    """Run the script; returns pytest's exit code, or 1 where something was left out that must not be."""
    whole, again = "--nothing-left-out" in arguments, "--again" in arguments
    wanted = [argument for argument in arguments if argument not in {"--nothing-left-out", "--again"}]
    # Where Debian has servers, which is not on everybody's PATH.
    places = f"{os.environ['PATH']}:/usr/sbin"
    left_out = {folder: program for folder, program in NEEDS.items() if not shutil.which(program, path=places)}
    notes = [f"Left out: {folder}, since {program} is missing." for folder, program in left_out.items()]
    print("\n".join(notes), end="\n" if notes else "", flush=True)
    if whole and left_out:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = [f"--ignore={folder}" for folder in left_out]
        # The older kind of report names files.
        options += [f"--junitxml={report}", "--override-ini=junit_family=xunit1"]
        code = _pytest(*_side_by_side(), *options, *wanted)
        failed = _failed(report) if again and code == TESTS_FAILED else []
        if 0 < len(failed) <= MOST_UNSTEADY and not any(_pytest(*failed) for _ in range(TIMES_AGAIN)):
            code = 0
            notes += [f"Unsteady: {test} failed above, and then passed {TIMES_AGAIN} times." for test in failed]
        skipped = _skipped(report) if whole and code == 0 else 0
    if skipped:
        print(f"{skipped} tests were skipped: nothing may be left out here.", flush=True)
        return 1
    # Once more, below pages of dots.
    print("\n".join(notes), end="\n" if notes else "", flush=True)
    return code


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False, cwd=ROOT).returncode


def _side_by_side() -> list[str]:
    # Most tests wait for most of their time. A file's tests stay together, as they share servers.
    workers = min(MOST_WORKERS, max(LEAST_WORKERS, os.cpu_count() or 1))
    # In the order of collection: a browser leaves an event loop behind.
    return ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder", *CRASH_ENDS]


def _skipped(report: Path) -> int:
    return sum(int(suite.get("skipped", "0")) for suite in _of(report, "testsuite"))


def _failed(report: Path) -> list[str]:
    """Each test that failed, once, as pytest takes it; none where a process of tests crashed, since some never ran."""
    failed = []
    for test in _of(report, "testcase"):
        reasons = [*test.iter("failure"), *test.iter("error")]
        if any(CRASHED in reason.get("message", "") for reason in reasons):
            return []
        failed += [f"{test.get('file')}::{test.get('name')}"] if reasons else []
    return list(dict.fromkeys(failed))


def _of(report: Path, kind: str) -> list[ElementTree.Element]:
    # Our own pytest wrote it a moment ago.
    return list(ElementTree.parse(report).getroot().iter(kind))  # noqa: S314


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
