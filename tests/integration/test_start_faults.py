"""A Start while the store comes and goes: what was stored and runs nowhere gets its end, and its key is free again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import redis

from app.console import Console
from app.errors import StoreUnavailable
from app.model import Run, Status, User
from app.stack import ThreadingStack
from tests.archiving import Node
from tests.waiting import wait_until

ANN = User("ann", "Ann Example", "ann@example.com")


class Job:
    """A job without parameters."""

    name, title, executor = "job", "Job", "thread"

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

    def start(self, run: Run, _job: Job, _params: dict[str, Any]) -> None:
        """As Executor.start."""
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("The storage cannot be reached.")
        self.began.append(run.id)


@pytest.fixture
def node(valkey_url: str, tmp_path: Path) -> Node:
    """A node's parts."""
    return Node(valkey_url, tmp_path)


def test_a_run_that_is_stored_and_cannot_begin_is_withdrawn(
    node: Node, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes away between the two, for longer than one attempt: the run fails, and its key starts another."""
    executor = Executor(1)
    parts: dict[str, Any] = {"output": node.output, "lookup": None, "followers": None, "node": "node-a"}
    console = Console(
        stack=ThreadingStack(),
        catalog=cast("Any", Jobs()),
        executors={"thread": cast("Any", executor)},
        runs=node.runs,
        health=cast("Any", Well()),
        **parts,
    )
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
