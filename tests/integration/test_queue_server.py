"""Turns, by the doors: who waits, for what, in which order, what Stop does then, and what is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.store.runs import Runs
from tests.integration.simulator_fixture import Simulator
from tests.server_fixture import settings_for
from tests.serving import Page, Server, running_server
from tests.waiting import wait_until

RULES = {"NODE_RUNS": "3", "USER_RUNS": "2", "USER_QUEUED": "3", "QUEUE_RUNS": "4", "USER_STARTS": "40"}


@pytest.fixture(scope="module")
def small(
    _free_valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with little room."""
    folder = tmp_path_factory.mktemp("small")
    with running_server(
        folder / "log", **{**settings_for(_free_valkey_socket, _shared_simulator, folder), **RULES}
    ) as running:
        yield running


@contextmanager
def _people(server: Server) -> Iterator[tuple[Page, Page]]:
    """The pages of two people, who have nothing running before and after."""
    pages = server.page(server.log_in(0)), server.page(server.log_in(1))
    yield pages
    for page in pages:
        live = [run for run, last in page.statuses.items() if last["ended"] is None]
        for run in live:
            page.call("stop_request", {"run": run})
        for run in live:
            page.wait_for_end(run)
        assert page.gaps == []
        assert page.errors == []
        page.close()


@pytest.fixture
def people(small: Server) -> Iterator[tuple[Page, Page]]:
    """Two people's pages."""
    with _people(small) as pages:
        yield pages


def _begun(page: Page, *runs: str) -> None:
    for run in runs:
        with page.changed:
            assert page.changed.wait_for(functools.partial(_runs, page, run), 20), page.statuses.get(run)


def _runs(page: Page, run: str) -> bool:
    return page.statuses.get(run, {}).get("status") == "running"


def _turn(page: Page, run: str, **expected: Any) -> dict[str, Any]:
    """Wait until a page is told this of a run's turn."""
    with page.changed:
        told = page.changed.wait_for(lambda: page.queues.get(run) and expected.items() <= page.queues[run].items(), 20)
    assert told, (expected, page.queues.get(run))
    return page.queues[run]


def _ask(page: Page, job: str, **params: Any) -> dict[str, Any]:
    """The answer to a Start."""
    answer: dict[str, Any] = page.call("start_request", {"job": job, "params": params, "ack": True})
    return answer


def test_beyond_a_users_runs_a_start_waits_and_others_begin(people: tuple[Page, Page]) -> None:
    """The third run of somebody who may have two waits and says why; somebody else's begins at once."""
    ann, bob = people
    first, second = ann.start("sleeper"), ann.start("sleeper")
    answer = _ask(ann, "sleeper")
    waiting = answer["run"]["id"]
    assert (answer["run"]["status"], answer["run"]["started"]) == ("queued", None)
    turn = _turn(ann, waiting, position=1, reason="user")
    assert turn["name"] == answer["run"]["queue"]
    assert turn["message"] == "You have 2 runs at a time, and no more."
    # At once but for the moment in which the server asks for the waiting run's turn with the only place that is left.
    _begun(bob, bob.start("sleeper"))
    assert ann.text(waiting) == ""
    ann.call("stop_request", {"run": first})
    ann.wait_for_text(waiting, "sleeping")
    _begun(ann, second, waiting)
    assert ann.statuses[waiting]["started"] >= ann.statuses[waiting]["created"]


def test_only_one_at_a_time(people: tuple[Page, Page]) -> None:
    """A job that says so has one run at a time, whoever starts it; other jobs pass the one that waits."""
    ann, bob = people
    first = ann.start("alone")
    ann.wait_for_text(first, "alone")
    waiting = bob.start("alone")
    turn = _turn(bob, waiting, reason="job")
    assert turn["message"] == "This job has one run at a time, and no more."
    other = bob.start("silent")
    assert bob.wait_for_end(other)["status"] == "succeeded"
    assert bob.text(waiting) == ""
    ann.call("stop_request", {"run": first})
    bob.wait_for_text(waiting, "alone")


def test_a_full_node_gives_turns_in_a_fair_order_and_tells_places(people: tuple[Page, Page]) -> None:
    """With no room left at the node runs wait, each page sees its places change, and users take turns."""
    ann, bob = people
    running = [ann.start("sleeper"), ann.start("sleeper"), bob.start("sleeper")]
    waits = [ann.start("sleeper"), ann.start("sleeper"), bob.start("sleeper")]
    _turn(ann, waits[0], position=1)
    _turn(ann, waits[1], position=3)
    _turn(bob, waits[2], position=2)
    ann.call("stop_request", {"run": running[0]})
    _begun(ann, waits[0])
    _turn(bob, waits[2], position=1, reason="")
    _turn(ann, waits[1], position=2)
    bob.call("stop_request", {"run": running[2]})
    _begun(bob, waits[2])
    _turn(ann, waits[1], position=1, reason="user")


def test_a_run_that_is_stopped_while_it_waits_never_runs(
    people: tuple[Page, Page], small: Server, tmp_path: Path
) -> None:
    """Stop from another page than the one that started it: the run is stopped at once, and its job never called."""
    ann, bob = people
    running = [ann.start("sleeper"), ann.start("sleeper")]
    file = tmp_path / "beats"
    waiting = ann.start("heartbeat", file=str(file))
    _turn(ann, waiting, position=1)
    assert not bob.call("stop_request", {"run": waiting})["ok"]
    bob.errors.clear()
    other = small.page(small.log_in(0))
    assert other.call("stop_request", {"run": waiting})["run"]["status"] == "stopped"
    other.close()
    ended = ann.wait_for_end(waiting)
    assert (ended["status"], ended["started"], ended["exit_code"]) == ("stopped", None, None)
    for run in running:
        ann.call("stop_request", {"run": run})
        ann.wait_for_end(run)
    after = ann.start("silent")
    assert ann.wait_for_end(after)["status"] == "succeeded"
    assert not file.exists()


def test_beyond_the_bounds_starts_are_refused_and_nothing_is_lost(people: tuple[Page, Page], small: Server) -> None:
    """Too many waiting runs of one user, then of all: too_many with a sentence; what waits is served all the same."""
    ann, bob = people
    running = [ann.start("sleeper"), ann.start("sleeper"), bob.start("sleeper"), bob.start("sleeper")]
    waits = [ann.start("silent") for _ in range(3)]
    refused = _ask(ann, "silent")
    assert refused["error"]["code"] == "too_many"
    assert refused["error"]["message"].startswith("3 of your runs wait for their turn already.")
    refused = _ask(bob, "silent")
    assert refused["error"]["message"].startswith("4 runs wait for their turn already.")
    wait_until(lambda: "reason=too_many" in small.log.read_text(), small.log)
    for page in people:
        page.errors.clear()
    for run in running:
        page = ann if run in ann.statuses else bob
        page.call("stop_request", {"run": run})
    for run in waits:
        assert ann.wait_for_end(run)["status"] == "succeeded"


def test_too_many_starts_in_a_minute_are_refused_and_others_are_not(small: Server, redis_client: Any) -> None:
    """USER_STARTS: 429's code with the seconds to wait; the same key again is no start; others start as ever."""
    with _people(small) as (ann, bob):
        first = ann.call("start_request", {"job": "silent", "key": "once"})["run"]["id"]
        user = next(key for key in redis_client.keys("starts:*")).decode()
        redis_client.set(user, RULES["USER_STARTS"], ex=60)
        refused = _ask(ann, "silent")
        assert refused["error"]["code"] == "too_many"
        assert "Please wait" in refused["error"]["message"]
        assert ann.call("start_request", {"job": "silent", "key": "once"})["run"]["id"] == first
        assert bob.wait_for_end(bob.start("silent"))["status"] == "succeeded"
        redis_client.delete(user)
        assert ann.wait_for_end(ann.start("silent"))["status"] == "succeeded"
        ann.errors.clear()


def test_a_server_that_is_told_to_end_stops_what_waits(start_server: Callable[..., Server], redis_client: Any) -> None:
    """SIGTERM with a run and one that waits for it: both are stopped, the second says why and never began."""
    server = start_server(NODE_RUNS="1")
    page = server.page(server.log_in())
    running, waiting = page.start("sleeper"), page.start("sleeper")
    _turn(page, waiting, position=1)
    server.process.terminate()
    server.process.wait(30)
    runs = Runs(redis_client)
    found = [runs.get(run) for run in (running, waiting)]
    assert [(run.status, run.message) for run in found if run] == [
        ("stopped", "The server was stopped."),
        ("stopped", "The server was stopped before this run's turn came."),
    ]
    left = [key for key in redis_client.keys("*") if key.startswith((b"queue", b"active"))]
    assert left == []
    page.close()


def test_a_killed_servers_waiting_run_is_lost_and_holds_nobody_up(
    start_server: Callable[..., Server], redis_client: Any
) -> None:
    """With an `at_once` run and one that waits: another server calls both lost, and the job starts again."""
    first, second = start_server(), start_server()
    page, other = first.page(first.log_in()), second.page(second.log_in())
    dead = [page.start("alone"), page.start("alone")]
    _turn(page, dead[1], reason="job")
    here = other.start("alone")
    _turn(other, here, reason="job")
    first.kill()
    for run in dead:
        other.watch(run)
    assert [other.wait_for_end(run)["status"] for run in dead] == ["lost", "lost"]
    other.wait_for_text(here, "alone")
    other.call("stop_request", {"run": here})
    assert other.wait_for_end(here)["status"] == "stopped"
    wait_until(lambda: not [key for key in redis_client.keys("*") if key.startswith((b"queue", b"active"))])
    other.close()
