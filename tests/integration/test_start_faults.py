"""A Start while the store comes and goes: what was stored and runs nowhere gets its end, and its key is free again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from app.console import Console
from app.dispatch import Dispatcher
from app.errors import StoreUnavailable
from app.limits import Rules
from app.model import Run, Status, User
from app.stack import ThreadingStack
from app.store.runs import Bounds
from tests.archiving import Node
from tests.waiting import wait_until

ANN = User("ann", "Ann Example", "ann@example.com")


class Job:
    """A job without parameters."""

    name, title, executor, rules = "job", "Job", "thread", Rules()

    def parse(self, _values: object) -> dict[str, Any]:
        """As Job.parse."""
        return {}

    def to_json(self, _values: object) -> dict[str, Any]:
        """As Job.to_json."""
        return {}


class Jobs:
    """A catalogue of that job."""

    def stale(self) -> bool:
        """As Catalog.stale."""
        return False

    def get(self, _name: str) -> Job:
        """As Catalog.get."""
        return Job()


class Well:
    """A store that was well a moment ago."""

    def check(self) -> None:
        """As Health.check."""


class Executor:
    """One that finds the store away as it wants to begin, for its first `failures` runs."""

    begins = Status.RUNNING

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.began: list[str] = []
        self.on_room: Callable[[], object] = lambda: None

    def held(self) -> list[Run]:
        """As Executor.held."""
        return []

    def start(self, run: Run, _job: Job, _params: dict[str, Any]) -> None:
        """As Executor.start."""
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("The storage cannot be reached.")
        self.began.append(run.id)


def _console(node: Node, executor: Executor) -> Console:
    given: Any = executor
    stack = ThreadingStack()
    unused = dict.fromkeys(("turns", "lookup", "followers", "calls", "typed"))
    parts: dict[str, Any] = {"bounds": Bounds(), "user_runs": 0, **unused}
    return Console(
        stack=stack,
        catalog=cast("Any", Jobs()),
        executors={"thread": given},
        dispatcher=Dispatcher(stack, node.runs, given, node="node-a", most=1),
        runs=node.runs,
        output=node.output,
        node="node-a",
        health=cast("Any", Well()),
        **parts,
    )


@pytest.fixture
def node(valkey_url: str, tmp_path: Path) -> Node:
    """A node's parts."""
    return Node(valkey_url, tmp_path)


def test_a_run_that_is_stored_and_cannot_begin_is_withdrawn(
    node: Node, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes away between the two, for longer than one attempt: the run fails, and its key starts another."""
    executor = Executor(1)
    console = _console(node, executor)
    real, away = node.runs.finish, [1, 2]

    def finish(*args: Any, **values: Any) -> bool:
        if away:
            away.pop()
            raise StoreUnavailable("The storage cannot be reached.")
        return real(*args, **values)

    monkeypatch.setattr(node.runs, "finish", finish)
    with pytest.raises(StoreUnavailable):
        console.start(ANN, "job", {}, "key")
    (stored,) = node.runs.of_user("ann", 10)
    wait_until(lambda: cast("Run", node.runs.get(stored.id)).status is Status.FAILED)
    wait_until(lambda: not redis_client.keys("key:*"))
    second = console.start(ANN, "job", {}, "key")
    assert second.id != stored.id
    assert executor.began == [second.id]


def test_a_start_that_is_being_withdrawn_is_nobodys(
    node: Node, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored with its answer lost, and tried again with the same key meanwhile: an error, then a run of its own."""
    executor, away = Executor(0), [True]
    console = _console(node, executor)
    create, withdraw = node.runs.create, node.runs.withdraw

    def lossy(*args: Any, **values: Any) -> Run:
        stored = create(*args, **values)
        if lost:
            raise StoreUnavailable("The storage cannot be reached.")
        return stored

    def later(*args: Any) -> None:
        if away:
            raise StoreUnavailable("The storage cannot be reached.")
        withdraw(*args)

    lost = [True]
    monkeypatch.setattr(node.runs, "create", lossy)
    monkeypatch.setattr(node.runs, "withdraw", later)
    with pytest.raises(StoreUnavailable):
        console.start(ANN, "job", {}, "key")
    lost.clear()
    with pytest.raises(StoreUnavailable):
        console.start(ANN, "job", {}, "key")
    away.clear()
    wait_until(lambda: not redis_client.keys("key:*"))
    run = console.start(ANN, "job", {}, "key")
    assert executor.began == [run.id]
