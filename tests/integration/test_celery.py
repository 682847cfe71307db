"""Celery runs, with real brokers and real workers: begun once, wherever there is room, and never in secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers import Site, Worker

# Workers and brokers start, and machines are slow.
pytestmark = pytest.mark.timeout(240)


def marks(file: Path) -> list[str]:
    """Who has begun the runs that leave their marks there."""
    return file.read_text().splitlines() if file.exists() else []


def test_a_run_happens_at_a_worker_and_is_watched_as_any(
    site: Site, start_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    """In the worker's own folder, by another process; its output and its end come to the page."""
    worker = start_worker()
    run = site.page.start("mark", file=str(tmp_path / "marks"))
    ended = site.page.wait_for_end(run)
    assert (ended["status"], ended["exit_code"], site.page.text(run)) == ("succeeded", 0, "done\n")
    (mark,) = marks(tmp_path / "marks")
    assert mark.endswith(str(worker.folder))
