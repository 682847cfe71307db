"""The dispatcher of a node's thread runs: each begins once, or never and says why, whatever the store does then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest
import redis

from app.config import load_settings
from app.dispatch import Dispatcher, queue_of
from app.errors import StoreUnavailable
from app.lease import Leases
from app.limits import Rules
from app.model import Run, Status, User, new_id
from app.stack import Stack
from app.store.connection import connect
from app.store.runs import Bounds, Runs

ANN = User("ann", "Ann Example", "ann@example.com")


class Executor:
    """Runs that last until they are stopped or ended; the store may be away as one begins, `away` times."""

    begins = Status.RUNNING

    def __init__(self, stack: Stack, runs: Runs) -> None:
        self._stack, self._runs = stack, runs
        self.began: list[str] = []
        self.live: dict[str, Run] = {}
        self.away = 0
        self.pause = 0.0
        self.on_room: Callable[[], object] = lambda: None

    def start(self, run: Run, _job: Any, _params: dict[str, Any]) -> None:
        """As Executor.start."""
        if self.pause:
            self._stack.sleep(self.pause)
        if self.away:
            self.away -= 1
            raise StoreUnavailable("The storage cannot be reached.")
        self.began.append(run.id)
        self.live[run.id] = run

    def local(self, run_id: str) -> Run | None:
        """As Executor.local."""
        return self.live.get(run_id)

    def held(self) -> list[Run]:
        """As Executor.held."""
        return list(self.live.values())

    def end(self, run_id: str, status: Status = Status.SUCCEEDED) -> None:
        """The run ends."""
        run = self.live.pop(run_id, None)
        if run is None:
            return
        self._runs.finish(run_id, run.epoch, status)
        self.on_room()

    def stop(self, run_id: str) -> None:
        """As Executor.stop."""
        if run_id in self.live:
            self.end(run_id, Status.STOPPED)

    def shutdown(self, _seconds: float) -> None:
        """As Executor.shutdown."""
        for run_id in list(self.live):
            self.stop(run_id)


class Node:
    """A node with room for one run, on one async stack."""

    def __init__(self, url: str, stack: Stack) -> None:
        self.stack = stack
        self.runs = Runs(connect(load_settings(None, redis_url=url), stack))
        self.name = new_id()
        self.executor = Executor(stack, self.runs)
        self.dispatcher = Dispatcher(stack, self.runs, cast("Any", self.executor), node=self.name, most=1)
        self.leases = Leases(stack, self.runs, self.dispatcher)

    def start(self, user: User = ANN) -> Run:
        """A run that is started."""
        queue = queue_of("thread", Rules(), self.name)
        run = Run(new_id(), "job", "Job", user, Status.QUEUED, time.time(), "thread", node=self.name, queue=queue)
        stored = self.dispatcher.create(run, cast("Any", None), {}, None, Bounds())
        self.dispatcher.begin(stored)
        return stored

    def status(self, run: Run) -> Status:
        """A run's status as it is stored."""
        found = self.runs.get(run.id)
        assert found is not None
        return found.status

    def wait_until(self, true: Callable[[], object]) -> None:
        """Wait as hub code does."""
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline
            self.stack.sleep(0.005)


@pytest.fixture
def node(valkey_url: str, stack: Stack) -> Node:
    """A node."""
    return Node(valkey_url, stack)


def test_runs_begin_one_after_another(node: Node) -> None:
    """The first begins as it is stored, the others as there is room, each once and in order."""
    runs = [node.start() for _ in range(5)]
    assert [run.status for run in runs] == [Status.RUNNING] + 4 * [Status.QUEUED]
    for number, run in enumerate(runs):
        node.wait_until(lambda number=number: len(node.executor.began) > number)  # type: ignore[misc]
        assert node.status(run) is Status.RUNNING
        node.executor.end(run.id)
    assert node.executor.began == [run.id for run in runs]
    assert node.dispatcher.held() == []


def test_a_thousand_stops_race_with_their_turns(node: Node, redis_client: Any) -> None:
    """However Stop and the turn fall together, a run is stopped in the end, and nothing of it is left."""
    runs = []
    for number in range(500):
        first, second = node.start(), node.start()
        runs += [first, second]
        node.stack.spawn(node.executor.stop, first.id)
        if number % 3:
            node.stack.sleep(0)
        node.dispatcher.stop(second.id)
        node.runs.ask_to_stop(second.id)
        node.wait_until(lambda: not node.dispatcher.held())
    node.wait_until(lambda: all(node.status(run) is Status.STOPPED for run in runs))
    assert len(set(node.executor.began)) == len(node.executor.began)
    assert not [key for key in redis_client.keys("*") if key.startswith((b"queue", b"active", b"runs:live"))]


def test_a_stop_while_a_run_begins_stops_it(node: Node) -> None:
    """Stop comes while the executor takes its time: the run has begun then, and is stopped at once."""
    first, second = node.start(), node.start()
    node.executor.pause = 0.3
    node.executor.end(first.id)
    node.wait_until(lambda: node.status(second) is Status.RUNNING)
    node.dispatcher.stop(second.id)
    node.wait_until(lambda: node.status(second) is Status.STOPPED)
    node.wait_until(lambda: not node.dispatcher.held())


def test_a_store_that_is_away_as_a_turn_comes_delays_it(node: Node) -> None:
    """The run that is claimed keeps its claim, and begins when the store is back."""
    first, second = node.start(), node.start()
    node.executor.away = 2
    node.executor.end(first.id)
    node.wait_until(lambda: node.executor.began == [first.id, second.id])
    assert node.status(second) is Status.RUNNING


def test_a_lost_answer_loses_no_turn(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store claims a run and its answer is lost, again and again: it begins, once."""
    real, lost = node.runs._take, [1, 2]

    def lossy(**call: Any) -> Any:
        answer = real(**call)
        if lost and answer:
            lost.pop()
            raise redis.exceptions.TimeoutError
        return answer

    monkeypatch.setattr(node.runs, "_take", lossy)
    runs = [node.start() for _ in range(3)]
    for number, run in enumerate(runs):
        node.wait_until(lambda number=number: len(node.executor.began) > number)  # type: ignore[misc]
        node.executor.end(run.id)
    assert node.executor.began == [run.id for run in runs]
    assert not lost


def test_a_run_that_another_node_stops_is_let_go(node: Node) -> None:
    """The store says that it has ended: this node forgets it, and says nothing of its own."""
    first, second = node.start(), node.start()
    node.runs.ask_to_stop(second.id)
    node.leases.obey()
    node.wait_until(lambda: [run.id for run in node.dispatcher.held()] == [first.id])
    assert node.status(second) is Status.STOPPED


def test_a_store_that_forgot_a_waiting_run_keeps_nothing_waiting(node: Node, redis_client: Any) -> None:
    """What the store lost in a power cut has no turn to come: this node lets it go, and others get theirs."""
    first, second, third = node.start(), node.start(), node.start()
    gone = [f"run:{second.id}", f"run:{second.id}:log", f"run:{second.id}:lease", f"run:{second.id}:go"]
    redis_client.delete(*gone)
    redis_client.zrem(f"queue:{second.queue}", second.id)
    node.leases.renew()
    node.wait_until(lambda: second.id not in {run.id for run in node.dispatcher.held()})
    node.executor.end(first.id)
    node.wait_until(lambda: node.executor.began == [first.id, third.id])


def test_a_store_that_forgot_a_claim_begins_no_run_twice(node: Node, redis_client: Any) -> None:
    """The store has the run in its queue again while it happens here: it is lost, never called a second time."""
    first, second = node.start(), node.start()
    node.executor.end(first.id)
    node.wait_until(lambda: second.id in node.executor.live)
    redis_client.hset(f"run:{second.id}", mapping={"status": "queued", "epoch": 0})
    redis_client.zadd(f"queue:{second.queue}", {second.id: 1_000_000})
    redis_client.sadd("queues", second.queue)
    redis_client.srem("active:job:job", second.id)
    # What its queue knew of it, as the next tidying makes it anew.
    redis_client.delete("tidied")
    assert node.runs.tidy() == 1
    third = node.start()
    node.dispatcher._most = 2
    node.executor.on_room()
    node.wait_until(lambda: third.id in node.executor.began)
    assert node.executor.began.count(second.id) == 1
    node.wait_until(lambda: node.status(second) is Status.LOST)


def test_waiting_runs_keep_their_leases(node: Node, redis_client: Any) -> None:
    """A run that waits is renewed as one that happens, also where its lease had run out."""
    _, second = node.start(), node.start()
    redis_client.delete(f"run:{second.id}:lease")
    node.leases.renew()
    assert redis_client.pttl(f"run:{second.id}:lease") > 10_000
    assert node.status(second) is Status.QUEUED
    assert second.id in {run.id for run in node.dispatcher.held()}


def test_a_stop_while_the_store_is_away_is_kept(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be stored at once: the run never begins, and is stopped as soon as the store is back."""
    first, second = node.start(), node.start()
    real, away = node.runs.finish, [1, 2]

    def finish(*args: Any, **values: Any) -> bool:
        if away:
            away.pop()
            raise StoreUnavailable("The storage cannot be reached.")
        return real(*args, **values)

    monkeypatch.setattr(node.runs, "finish", finish)
    node.dispatcher.stop(second.id)
    node.wait_until(lambda: node.status(second) is Status.STOPPED)
    assert node.executor.began == [first.id]


def test_a_node_that_goes_away_records_what_waits(node: Node) -> None:
    """What waits is stopped and says why; nothing begins any more."""
    first, second = node.start(), node.start()
    node.dispatcher.shutdown(5)
    assert [node.status(first), node.status(second)] == [Status.STOPPED, Status.STOPPED]
    found = node.runs.get(second.id)
    assert found is not None
    assert found.message == "The server was stopped before this run's turn came."
    assert node.executor.began == [first.id]
