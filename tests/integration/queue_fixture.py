"""Runs that wait in a real store, for the tests of queues."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.config import load_settings
from app.model import Run, Status, User, new_id
from app.stack import ThreadingStack
from app.store.connection import connect
from app.store.runs import Bounds, Runs

ANN = User("ann", "Ann Example", "ann@example.com")
BOB = User("bob", "Bob Example", "bob@example.com")
QUEUE = "process"


def runs_in(url: str) -> Runs:
    """The runs of the store there."""
    return Runs(connect(load_settings(None, redis_url=url), ThreadingStack()))


@pytest.fixture
def runs(valkey_url: str) -> Runs:
    """The runs of an empty store."""
    return runs_in(valkey_url)


def new_run(user: User = ANN, job: str = "job", **values: Any) -> Run:
    """A run that is not stored yet."""
    chosen = {"status": Status.QUEUED, "queue": QUEUE, "params": {}, **values}
    return Run(id=new_id(), job=job, title="Job", user=user, created=time.time(), executor="process", **chosen)


def queued(runs: Runs, user: User = ANN, job: str = "job", bounds: Bounds | None = None, **values: Any) -> Run:
    """A run that waits."""
    return runs.create(new_run(user, job, **values), None, bounds, kept=False)


def take_next(runs: Runs, node: str = "runner") -> str:
    """The id of the run that is taken next, or ""."""
    taken = runs.take(QUEUE, node)
    return taken.id if taken else ""


def left_over(client: Any) -> list[str]:
    """All keys that tell of waiting and happening runs."""
    names = [key.decode() for key in client.keys("*")]
    signs = ("lease", "go", "mercy")
    return sorted(
        name
        for name in names
        if name.startswith(("queue", "active", "runs:live")) or (name.startswith("run:") and name.endswith(signs))
    )
