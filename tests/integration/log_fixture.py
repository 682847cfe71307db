"""The log and the runs of one node in a real store, for the tests of the log."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from app.config import Settings, load_settings
from app.masking import Masker
from app.model import Run, Status, User, new_id
from app.recorder import Recorder
from app.stack import ThreadingStack
from app.store.connection import connect
from app.store.log import Log
from app.store.runs import Runs

ANN = User("ann", "Ann Example", "ann@example.com")


class Store:
    """The stores of one node, as the factory puts them together."""

    def __init__(self, settings: Settings, node: str = "node-a") -> None:
        stack = ThreadingStack()
        self.log = Log(settings, stack, node)
        self.runs = Runs(connect(settings, stack))
        self.node = node

    def run(self, **values: object) -> Run:
        """A new stored run."""
        run = Run(new_id(), "job", "Job", ANN, Status.QUEUED, time.time(), "thread", epoch=1, node=self.node)
        return self.runs.create(replace(run, **values), None)  # type: ignore[arg-type]

    def recorder(self, run: Run, **options: object) -> Recorder:
        """A recorder of the run."""
        values: dict[str, object] = {
            "masker": Masker(),
            "record_bytes": 1024,
            "sleep": time.sleep,
            "on_fenced": lambda: None,
        }
        return Recorder(self.log, run.id, run.epoch, **{**values, **options})  # type: ignore[arg-type]

    def stored(self, run: Run) -> bytes:
        """All output bytes, with the check that each record follows the one before."""
        cursor, position, data = (0, 0), 0, b""
        while records := self.log.read(run.id, cursor, 7):
            for record in records:
                assert record.start == position
                position, cursor = record.position, record.cursor
                data += record.data
        return data


@pytest.fixture
def store(valkey_url: str) -> Store:
    """A store in a real Valkey."""
    return Store(load_settings(None, redis_url=valkey_url))
