"""The benchmark, small, against the real thing; nothing here depends on how fast that is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


def test_small_workloads_give_figures_a_table_and_a_picture(tmp_path: Path) -> None:
    """Product and floors print the same lines, complete and in order, and what was measured is written down."""
    page = tmp_path / "page.md"
    page.write_text("<!-- thread runs -->\n<!-- end of thread runs -->\n")
    files = ["--json", str(tmp_path / "all.json"), "--write", str(page)]
    done = _bench("--quick", "--rounds", "1", "--only", "short,start", *files)
    assert done.returncode == 0, done.stderr
    assert "1/1 start: Start to first line: p50: " in done.stdout
    measured = json.loads((tmp_path / "all.json").read_text())["runs"][0][0]
    assert set(measured["short"]) == {"product", "buffered", "unbuffered", "naive"}
    assert all(value > 0 for value in measured["short"].values())
    assert 0 < measured["start.p50"]["product"] <= measured["start.p99"]["product"]
    assert "| 1,000,000 lines `%d`, Start to last line | lines/s |" in page.read_text()
    assert "lines/s" in (tmp_path / "images" / "performance.svg").read_text()
    again = _bench("--table-of", str(tmp_path / "all.json"), "--write", str(page))
    assert (again.returncode, again.stdout) == (0, "")


def test_a_workload_that_is_not_there_is_named() -> None:
    """A slip in a name measures nothing."""
    done = _bench("--only", "shrot")
    assert done.returncode == 1
    assert "There is no workload shrot; there are short, " in done.stderr
