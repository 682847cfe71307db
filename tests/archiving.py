"""The parts of a node that keep output, as the factory puts them together, for tests that look into them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.archiver import Archiver, Hot
from app.config import load_settings
from app.masking import Masker
from app.model import Record, Run, Status, Stream, User, new_id
from app.output import Output
from app.recorder import Recorder
from app.retention import Retention
from app.stack import ThreadingStack
from app.store.archive import FolderArchive
from app.store.connection import connect
from app.store.ended import EndedRuns
from app.store.log import Log
from app.store.runs import Runs
from tests.waiting import wait_until

ANN = User("ann", "Ann Example", "ann@example.com")
MEGABYTE = 1_048_576


class Node:
    """The parts of one node that keep output, as the factory puts them together."""

    def __init__(self, url: str, folder: Path, **values: Any) -> None:
        self.url, self.folder, self.values = url, folder, values
        self.hots: list[Hot] = []
        chosen = {"hot_megabytes": 0.25, "run_megabytes": 1, "archive_minutes": 0, **values}
        made = load_settings(None, redis_url=url, archive_dir=str(folder), **chosen)
        stack, client = ThreadingStack(), connect(made, ThreadingStack())
        self.log, self.runs, self.ended = Log(made, stack, "node-a"), Runs(client), EndedRuns(client)
        self.archive = FolderArchive(folder)
        self.archiver = Archiver(made, stack, self.log, self.archive)
        self.output = Output(made, stack, self.log, self.archive)
        self.retention = Retention(
            made,
            stack,
            runs=self.runs,
            ended=self.ended,
            archive=self.archive,
            archiver=self.archiver,
            node="node-a",
        )

    def again(self) -> Node:
        """The same after a restart: nothing in its memory."""
        return Node(self.url, self.folder, **self.values)

    def run(self, **values: object) -> Run:
        """A new stored run."""
        run = Run(new_id(), "job", "Job", ANN, Status.QUEUED, time.time(), "thread", epoch=1, node="node-a")
        return self.runs.create(replace(run, **values), None)  # type: ignore[arg-type]

    def recorder(self, run: Run, **values: object) -> Recorder:
        """The recorder of a run, as an executor makes it."""
        self.hots.append(self.archiver.open(run.id))
        chosen = {"record_bytes": 4096, "stored": self.hots[-1].appended, **values}
        return Recorder(
            self.log,
            run.id,
            run.epoch,
            masker=Masker(),
            sleep=time.sleep,
            on_fenced=lambda: None,
            **chosen,  # type: ignore[arg-type]
        )

    def settle(self) -> None:
        """Wait until nothing is being moved."""
        wait_until(lambda: not any(hot.moving for hot in self.hots))

    def printed(self, size: int, width: int = 100) -> tuple[Run, bytes]:
        """An ended run of that many bytes in numbered lines, with its output."""
        run = self.run()
        data = lines(size, width)
        recorder = self.recorder(run)
        for start in range(0, size, 50_000):
            recorder.store(recorder.prepare([(Stream.OUT, data[start : start + 50_000])]))
        recorder.end()
        self.settle()
        assert self.runs.finish(run.id, 1, Status.SUCCEEDED)
        return run, data

    def read(self, run: Run, after: tuple[int, int] = (0, 0), count: int = 50) -> list[Record]:
        """All records after a cursor, with the check that each begins where the one before ends."""
        found: list[Record] = []
        while records := self.output.read(run.id, after, count):
            for record in records:
                assert record.cursor > after
                assert record.start == after[0] or (not found and record.start < after[0] < record.position)
                after = record.cursor
                found.append(record)
        return found

    def in_log(self, run: Run) -> list[Record]:
        """What Redis itself has of the output."""
        found: list[Record] = []
        while records := self.log.read(run.id, found[-1].cursor if found else (0, 0), 500):
            found += records
        return found


def lines(size: int, width: int = 100) -> bytes:
    """`size` bytes of numbered lines."""
    return b"".join(b"%0*d\n" % (width - 1, number) for number in range(1, size // width + 2))[:size]


def shown(records: list[Record]) -> bytes:
    """The bytes of records, with a mark for each omitted one."""
    return b"".join(b"<%d>" % record.omitted if record.omitted else record.data for record in records)


@pytest.fixture
def node(valkey_url: str, tmp_path: Path) -> Node:
    """A node with an empty store and archive."""
    return Node(valkey_url, tmp_path / "archive")
