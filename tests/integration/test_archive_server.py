"""Huge output through the doors: Redis stays small, head and tail are kept, a disk without room holds the job."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Callable
from pathlib import Path

import redis
import requests

from tests.oracle import numbers
from tests.processes import limit_files
from tests.serving import Server
from tests.waiting import wait_until
from tests.watcher import Watcher

MEGABYTE = 1_048_576
SMALL = {"HOT_MEGABYTES": "1", "RUN_MEGABYTES": "8", "ARCHIVE_MINUTES": "0.01"}
MARK = re.compile(rb"\n\[(\d+) bytes are missing here([^\]]*)\]\n")


def flooded(megabytes: int) -> bytes:
    """What the job `flood` prints."""
    return b"".join(b"%09d %s\n" % (number, b"x" * 89) for number in range(megabytes * 10_000))


def check(server: Server, person: requests.Session, run: str, printed: bytes) -> None:
    """The download has the head, one mark that says how much went and why, and the tail."""
    kept = server.output(person, run)
    (mark,) = MARK.finditer(kept)
    head, tail = kept[: mark.start()], kept[mark.end() :]
    assert len(head) >= 4 * MEGABYTE
    assert len(tail) >= 4 * MEGABYTE
    assert len(kept) < 12 * MEGABYTE
    assert printed.startswith(head)
    assert printed.endswith(tail)
    assert int(mark[1]) == len(printed) - len(head) - len(tail)
    assert mark[2] == b": RUN_MEGABYTES=8 keeps the first and the last 4 MB"


def test_huge_output_stays_small_in_redis_and_is_shown_in_order(
    start_server: Callable[..., Server], redis_client: redis.Redis, watch: Callable[..., Watcher], tmp_path: Path
) -> None:
    """40 MB with 1 MB in Redis and 8 MB kept: bounded all along, and the same for pages, downloads, after a restart."""
    server = start_server(**SMALL)
    person = server.log_in()
    page = server.page(person)
    run = page.start("flood", megabytes=40)
    most = 0
    while run not in page.statuses or page.statuses[run]["ended"] is None:
        most = max(most, redis_client.memory_usage(f"run:{run}:log", samples=0) or 0)
        time.sleep(0.02)
    assert MEGABYTE / 2 < most < 3.5 * MEGABYTE
    assert page.statuses[run]["status"] == "succeeded"
    assert page.gaps == []
    assert page.positions[run] == 40_000_000
    page.close()
    printed = flooded(40)
    check(server, person, run, printed)
    wait_until(lambda: redis_client.xlen(f"run:{run}:log") == 1)
    check(server, person, run, printed)
    server.kill()
    server = start_server(**SMALL)
    person = server.log_in()
    check(server, person, run, printed)
    viewer = watch(person, run, server)
    assert viewer.wait_for_end()["status"] == "succeeded"
    assert viewer.wrong == []
    assert viewer.position == len(printed)
    (hole,) = viewer.omitted
    assert viewer.text == (printed[: hole[0]] + printed[hole[1] :]).decode()


def test_a_page_of_another_server_misses_nothing_that_is_moved_meanwhile(
    start_server: Callable[..., Server], watch: Callable[..., Watcher]
) -> None:
    """Output that goes to the archive before another server has read it from Redis reaches that server's pages."""
    first, second = start_server(HOT_MEGABYTES="0.25"), start_server(HOT_MEGABYTES="0.25")
    page = first.page(first.log_in())
    run = page.start("flood", megabytes=20)
    viewers = [watch(second.log_in(), run, second) for _ in range(2)]
    assert page.wait_for_end(run)["status"] == "succeeded"
    for viewer in viewers:
        assert viewer.wait_for_end()["status"] == "succeeded"
        assert (viewer.wrong, viewer.omitted) == ([], [])
        assert viewer.text == flooded(20).decode()
    page.close()


def test_a_full_disk_holds_the_job_until_there_is_room(
    start_server: Callable[..., Server], redis_client: redis.Redis
) -> None:
    """Where the archive cannot be written the page is told, a long run waits, others run, and no byte is missing."""
    server = start_server(HOT_MEGABYTES="1")
    person = server.log_in()
    page = server.page(person)
    limit_files(server.processes, 1)
    run = page.start("flood", megabytes=12)
    with page.changed:
        told = page.changed.wait_for(lambda: page.storage and page.storage[-1]["reason"], 20)
    assert told
    assert page.storage[-1]["reason"] == "The archive cannot be written: File too large."
    # What needs no archive is as ever.
    assert page.storage[-1]["available"] is True
    beside = page.start("lines", count=1000)
    assert page.wait_for_end(beside)["status"] == "succeeded"
    assert page.text(beside) == numbers(1000)

    def stands() -> bool:
        held = redis_client.hget(f"run:{run}", "position")
        time.sleep(1)
        return held is not None and redis_client.hget(f"run:{run}", "position") == held

    wait_until(stands, "it goes on")
    held = redis_client.hget(f"run:{run}", "position")
    assert held is not None
    assert int(held) < 4 * MEGABYTE
    assert page.statuses.get(run, {}).get("ended") is None
    limit_files(server.processes, resource.RLIM_INFINITY)
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert server.output(person, run) == flooded(12)
    assert page.gaps == []
    assert page.text(run) == flooded(12).decode()
    with page.changed:
        assert page.changed.wait_for(lambda: not page.storage[-1]["reason"], 20)
    page.close()


def test_stop_does_not_wait_for_a_disk(start_server: Callable[..., Server]) -> None:
    """A job that is held since the archive cannot be written ends when it is stopped, with all that it printed."""
    server = start_server(HOT_MEGABYTES="1")
    person = server.log_in()
    page = server.page(person)
    limit_files(server.processes, 1)
    run = page.start("flood", megabytes=100)
    with page.changed:
        assert page.changed.wait_for(lambda: page.storage and page.storage[-1]["reason"], 20)
    assert page.call("stop_request", {"run": run})["ok"]
    assert page.wait_for_end(run)["status"] == "stopped"
    printed = page.text(run)
    assert len(printed) < 12 * MEGABYTE
    assert flooded(100).startswith(printed.encode())
    assert page.gaps == []
    limit_files(server.processes, resource.RLIM_INFINITY)
    assert server.output(person, run) == printed.encode()
    page.close()


def test_a_run_that_is_deleted_is_gone_for_everybody(
    start_server: Callable[..., Server], redis_client: redis.Redis, tmp_path: Path
) -> None:
    """By its age a run goes from history, page, download and archive, while the one that goes on stays."""
    server = start_server(**SMALL, KEEP_DAYS="0.0001")
    person = server.log_in()
    page = server.page(person)
    live = page.start("sleeper")
    run = page.start("flood", megabytes=3)
    assert page.wait_for_end(run)["status"] == "succeeded"
    wait_until(lambda: person.get(f"{server.url}/runs/{run}").status_code == 404)
    assert person.get(f"{server.url}/runs/{run}/output").status_code == 404
    wait_until(lambda: not (tmp_path / "archive" / run).exists())
    assert page.call("watch", {"run": run})["error"]["code"] == "not_found"
    assert run not in person.get(f"{server.url}/jobs/flood").text
    assert not list(redis_client.scan_iter(f"*{run}*"))
    assert person.get(f"{server.url}/runs/{live}").ok
    assert page.call("stop_request", {"run": live})["ok"]
    page.wait_for_end(live)
    page.close()
