"""Faults of servers, viewers and jobs: nothing is lost or twice, and each run ends once, after its last output."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.integration.simulator_fixture import Simulator
from tests.oracle import check_run, whole_lines
from tests.processes import memory_of
from tests.serving import Page, Server, web_answers
from tests.waiting import wait_until
from tests.watcher import Watcher

# A run without a lease is lost within 30 s; the viewer hears of it a little later.
LOST_SECONDS = 35


def test_a_killed_node_takes_its_own_runs_only(
    start_server: Callable[..., Server], watch: Callable[..., Watcher], tmp_path: Path
) -> None:
    """Of two nodes one is killed: its run is lost once and keeps its output, the other's goes on, viewers move over."""
    first, second = start_server(), start_server()
    person = first.log_in()
    runs = {}
    for name, server in (("dies", first), ("lives", second)):
        page = server.page(person)
        runs[name] = page.start("witness", file=str(tmp_path / name), seconds=600)
        page.close()
    watchers = {name: [watch(person, run, first, second) for _ in range(2)] for name, run in runs.items()}
    for each in (*watchers["dies"], *watchers["lives"]):
        each.wait_for(lambda each=each: each.position > 500)  # type: ignore[misc]
    first.kill()
    before = [each.position for each in watchers["lives"]]
    for each, position in zip(watchers["lives"], before, strict=True):
        each.wait_for(lambda each=each, position=position: each.position > position, 10)  # type: ignore[misc]
    for each in watchers["dies"]:
        assert each.wait_for_end(LOST_SECONDS)["status"] == "lost"
    kept = check_run(second, person, runs["dies"], tmp_path / "dies", *watchers["dies"], whole=False)
    assert whole_lines(kept[: kept.rindex(b"\n") + 1]) > 10
    page = second.page(person)
    page.call("stop_request", {"run": runs["lives"]})
    page.close()
    for each in watchers["lives"]:
        assert each.wait_for_end()["status"] == "stopped"
    whole_lines(check_run(second, person, runs["lives"], tmp_path / "lives", *watchers["lives"]))


def test_jobs_that_take_the_web_process_along(
    start_server: Callable[..., Server], watch: Callable[..., Watcher], tmp_path: Path
) -> None:
    """After os._exit and after crashes a new process serves; runs of the old ones are lost once, with their output."""
    server = start_server()
    person = server.log_in()
    page = server.page(person)
    bystander = page.start("witness", file=str(tmp_path / "file"), seconds=600)
    watchers = {bystander: watch(person, bystander, server)}
    watchers[bystander].wait_for(lambda: watchers[bystander].position > 0)
    for how in ("exit", "signal", "memory"):
        worker = server.worker
        guilty = page.start("crash", how=how)
        watchers[guilty] = watch(person, guilty, server)
        watchers[guilty].wait_for(lambda guilty=guilty: "goodbye\n" in watchers[guilty].text)  # type: ignore[misc]
        wait_until(lambda worker=worker: server.worker != worker and web_answers(server.url))  # type: ignore[misc]
        page = server.page(person)
    assert page.wait_for_end(page.start("silent"))["status"] == "succeeded"
    page.close()
    for run, watcher in watchers.items():
        assert watcher.wait_for_end(LOST_SECONDS)["status"] == "lost"
        assert watcher.wrong == []
        if run != bystander:
            assert server.output(person, run).decode() == watcher.text == "goodbye\n"
    check_run(server, person, bystander, tmp_path / "file", watchers[bystander], whole=False)


def test_a_viewer_that_stops_reading_costs_nothing(
    start_server: Callable[..., Server], watch: Callable[..., Watcher]
) -> None:
    """Beside ten viewers that read nothing 60 MB reach one that does; the server stays small, and nobody waits."""
    server = start_server()
    person = server.log_in()
    page = server.page(person)
    # What the first floods take stays, for those to come.
    for _ in range(2):
        page.wait_for_end(page.start("flood", megabytes=60))
        page.texts.clear()
    quiet = page.start("lines", count=100_000, pause=0.02)
    before = memory_of(server.worker)
    run = page.start("flood", megabytes=60)
    sleepers = [watch(person, run, server) for _ in range(10)]
    for each in sleepers:
        each.wait_for(lambda each=each: each.position > 0)  # type: ignore[misc]
        each.sleep()
    seen = page.positions[quiet]
    assert page.wait_for_end(run, 90)["status"] == "succeeded"
    assert page.positions[run] == 60_000_000
    assert page.positions[quiet] > seen
    # Ten, since two floods differ by more than the cost of one; without a bound it would be 600 MB.
    assert memory_of(server.worker) - before < 5_000_000 * len(sleepers)
    sleepers[0].awake.set()
    assert sleepers[0].wait_for_end(60)["status"] == "succeeded"
    assert sleepers[0].wrong == []
    assert sleepers[0].position == 60_000_000
    page.call("stop_request", {"run": quiet})
    page.close()


@pytest.mark.parametrize("viewers", [0, 3])
def test_no_viewer_holds_a_job_up(
    server: Server, person: requests.Session, watch: Callable[..., Watcher], viewers: int
) -> None:
    """A job prints ten windows' worth and ends, whether nobody watches or nobody of those who watch reads."""
    page = server.page(person)
    run = page.start("flood", megabytes=10)
    assert page.call("unwatch", {"run": run})["ok"]
    sleepers = [watch(person, run, server) for _ in range(viewers)]
    for each in sleepers:
        each.sleep()

    def over() -> bool:
        status = page.call("watch", {"run": run, "ack": True})["run"]["status"]
        return bool(page.call("unwatch", {"run": run})["ok"] and status == "succeeded")

    page.acknowledge = False
    wait_until(over)
    assert len(server.output(person, run)) == 10_000_000
    page.close()


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_characters_in_parts_and_control_characters(
    server: Server, page: Page, person: requests.Session, cut: int
) -> None:
    """Characters that come in two parts are whole on the page; bytes that are no text are shown as such, and kept."""
    text = "aé☃🐍"
    run = page.start("pieces", text=text, cut=cut)
    assert page.wait_for_end(run)["status"] == "succeeded"
    stored = text.encode() + b"\xff\xc3(\xe2\x98\n" + b"NUL \x00, ESC \x1b[31m, CR \r\nafter\n"
    assert server.output(person, run) == stored
    assert page.text(run) == stored.decode("utf-8", "replace")


def test_what_is_printed_after_stop_is_kept_until_the_end(
    server: Server, person: requests.Session, watch: Callable[..., Watcher]
) -> None:
    """Last words after Stop, of child threads too, are output; what a daemon prints after the end is not."""
    page = server.page(person)
    run = page.start("last_words")
    watcher = watch(person, run, server)
    page.wait_for_text(run, "ready\n")
    page.call("stop_request", {"run": run})
    assert watcher.wait_for_end()["status"] == "stopped"
    text = watcher.text
    assert "I know\n" in text
    assert "the child's last word\n" in text
    time.sleep(0.5)
    assert watcher.wrong == []
    assert server.output(person, run).decode() == text == page.text(run)
    page.close()


def test_a_stopped_witness_lacks_nothing(
    server: Server, person: requests.Session, watch: Callable[..., Watcher], tmp_path: Path
) -> None:
    """Stopped in a flood, with last words: file, store and viewer agree."""
    for kind in ("flood", "threads", "binary"):
        page = server.page(person)
        run = page.start("witness", file=str(tmp_path / kind), kind=kind, seconds=600, last_words=10)
        watcher = watch(person, run, server)
        watcher.wait_for(lambda watcher=watcher: watcher.position > 20_000)  # type: ignore[misc]
        page.call("stop_request", {"run": run})
        assert watcher.wait_for_end()["status"] == "stopped"
        check_run(server, person, run, tmp_path / kind, watcher)
        page.close()


def test_a_job_goes_on_after_it_closed_stdout(page: Page) -> None:
    """Without stdout it is still running, its stderr is live, and its exit code is recorded."""
    run = page.start("without_stdout")
    page.wait_for_text(run, "still here 3\n")
    assert page.statuses[run]["status"] == "running"
    assert page.call("stop_request", {"run": run})["ok"]
    ended = page.wait_for_end(run)
    assert (ended["status"], ended["exit_code"]) == ("stopped", 7)
    assert re.fullmatch(r"before\n(still here \d+\n)+", page.text(run))


def test_output_from_nested_threads_tasks_pools_and_programs(page: Page, server: Server) -> None:
    """Whatever a job starts within something that it started prints into its run, and the run waits for it."""
    run = page.start("nested")
    assert page.wait_for_end(run)["status"] == "succeeded"
    expected = ["from a program"]
    expected += [f"{kind} {name}" for name in "ab" for kind in ("task", "to_thread")]
    for name in ("c.1", "c.2", "d.1", "d.2"):
        expected += [f"worker {name}", f"thread {name}", f"task {name} again", f"to_thread {name} again"]
    assert sorted(page.text(run).splitlines()) == sorted(expected)
    assert "to_thread" not in server.log.read_text()


def test_a_token_that_ends_in_mid_run_is_refreshed_once(
    start_server: Callable[..., Server], simulator: Simulator
) -> None:
    """The token ends while twenty threads of one run want it: one refresh, all go on, and the page goes on watching."""
    server = start_server()
    simulator.turn(token_lifetime=3)
    page = server.page(server.log_in())
    run = page.start("tokens")
    page.wait_for_text(run, "first ok\n")
    before = simulator.count("grant:refresh_token")
    time.sleep(3.1)
    simulator.turn(token_lifetime=1000)
    page.call("stop_request", {"run": run})
    assert page.wait_for_end(run)["status"] == "stopped"
    assert page.text(run) == "first ok\n" + "then ok\n" * 20
    assert simulator.count("grant:refresh_token") == before + 1
    page.close()
