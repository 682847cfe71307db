"""Run the tests that this machine can run, and say plainly what is left out and why.

`python scripts/test.py [--nothing-left-out] [what pytest should run]`; the option is for CI: whatever is missing or
skipped is a failure then. Several files are tested at a time, each by one process; `-n 0` among the arguments, or
another number, changes that.
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
    whole = "--nothing-left-out" in arguments
    wanted = [argument for argument in arguments if argument != "--nothing-left-out"]
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
        pytest = [sys.executable, "-m", "pytest", f"--junitxml={report}", *_side_by_side(), *options, *wanted]
        code = subprocess.run(pytest, check=False, cwd=ROOT).returncode
        skipped = _skipped(report) if whole and code == 0 else 0
    if skipped:
        print(f"{skipped} tests were skipped: nothing may be left out here.", flush=True)
        return 1
    # Once more, below pages of dots.
    print("\n".join(notes), end="\n" if notes else "", flush=True)
    return code


def _side_by_side() -> list[str]:
    # Most tests wait for most of their time. A file's tests stay together, as they share servers.
    workers = min(MOST_WORKERS, max(LEAST_WORKERS, os.cpu_count() or 1))
    # In the order of collection: a browser leaves an event loop behind.
    return ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder", *CRASH_ENDS]


def _skipped(report: Path) -> int:
    # Our own pytest wrote it a moment ago.
    suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314
    return sum(int(suite.get("skipped", "0")) for suite in suites)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
