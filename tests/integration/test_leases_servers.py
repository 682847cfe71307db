"""Leases between real servers: runs live on while theirs vanish, a server that stood still, and a Stop elsewhere."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import redis

from app.lease import SWEEP_SECONDS
from tests.processes import processes_of
from tests.serving import Page, Server
from tests.waiting import wait_until


def test_runs_live_on_while_their_leases_vanish(
    redis_client: redis.Redis, page: Page, start_server: Callable[..., Server]
) -> None:
    """Two servers, and a store that loses every lease again and again: the run ends as it would have."""
    start_server()
    run = page.start("lines", count=100_000, pause=0.01)
    for _ in range(2):
        redis_client.delete(f"run:{run}:lease")
        wait_until(lambda: redis_client.exists(f"run:{run}:lease"), "the lease is restored")
        # Until the other one has seen it: it counts how often it is missing in a row.
        time.sleep(SWEEP_SECONDS + 1)
    assert page.statuses[run]["status"] == "running"
    page.call("stop_request", {"run": run})
    assert page.wait_for_end(run)["status"] == "stopped"


def test_a_server_that_stood_still_too_long_finds_its_run_lost(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    """A server stands still while another one calls its run lost; back again, it writes nothing more and stops it."""
    first, second = start_server(), start_server()
    person = second.log_in()
    page, other = first.page(first.log_in()), second.page(person)
    beats = tmp_path / "beats"
    run = page.start("heartbeat", file=str(beats))
    page.wait_for_text(run, "beat 20\n")
    processes = [first.process.pid, *processes_of(first.process.pid)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        other.watch(run)
        assert other.wait_for_end(run, 30)["status"] == "lost"
        text = other.text(run)
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)

    def stands_still() -> bool:
        size = beats.stat().st_size
        time.sleep(0.5)
        return beats.stat().st_size == size

    # Whoever finds out first stops it: who renews leases, who looks for Stops, or who records.
    wait_until(stands_still, "the job goes on")
    time.sleep(1)
    assert second.output(person, run).decode() == text
    page.close()
    other.close()


def test_stop_is_obeyed_by_the_node_that_has_the_run(start_server: Callable[..., Server]) -> None:
    """A run of one server is stopped by a page at another one, and both pages are told."""
    first, second = start_server(), start_server()
    page, other = first.page(first.log_in()), second.page(second.log_in())
    run = page.start("lines", count=100_000, pause=0.01)
    page.wait_for_text(run, "20\n")
    other.watch(run)
    assert other.call("stop_request", {"run": run})["ok"]
    assert page.wait_for_end(run)["status"] == "stopped"
    assert other.wait_for_end(run)["status"] == "stopped"
    assert page.text(run) == other.text(run)
    for each in (page, other):
        assert each.gaps == []
        each.close()
