"""Retention: what ended long ago, or is one too many, goes with all that is kept of it; nothing live ever does."""

from __future__ import annotations

import errno
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from app.errors import StoreUnavailable
from app.model import Kind, Run, Status, Stream, User, new_id
from tests.archiving import ANN, Node, shown

DAY = 86_400


def keys_of(client: redis.Redis, run: Run) -> list[bytes]:
    """All that the store knows of a run: its keys, and the indexes that name it."""
    found = list(client.scan_iter(f"run:{run.id}*"))
    indexes = [key for key in client.scan_iter("*") if client.type(key) == b"zset"]
    return found + [key for key in indexes if client.zscore(key, run.id) is not None]


def ended(node: Node, age: float, **values: Any) -> Run:
    """A run that ended `age` seconds ago, with output in log and archive."""
    run = node.run(created=time.time() - age - 1, **values)
    recorder = node.recorder(run)
    recorder.store(recorder.prepare([(Stream.OUT, b"x" * 600_000)]))
    node.settle()
    assert node.runs.finish(run.id, 1, Status.SUCCEEDED, ended=time.time() - age)
    return run


def test_old_runs_go_with_all_that_is_kept_of_them(node: Node, redis_client: redis.Redis) -> None:
    """A run that ended more than KEEP_DAYS ago leaves nothing in store, archive and history; younger ones stay."""
    old, young, live = ended(node, 31 * DAY), ended(node, 29 * DAY), node.run(created=1.0)
    assert keys_of(redis_client, old)
    assert (node.folder / old.id).is_dir()
    node.retention.sweep()
    assert keys_of(redis_client, old) == []
    assert not (node.folder / old.id).exists()
    assert {run.id for run in node.runs.of_user(ANN.id, 10)} == {young.id, live.id}
    assert node.runs.get(old.id) is None
    assert shown(node.read(young)) == b"x" * 600_000
    assert node.output.read(old.id, (0, 0), 10) == []


def test_for_ever_is_for_ever(valkey_url: str, tmp_path: Path) -> None:
    """With KEEP_DAYS=0 and KEEP_RUNS=0 nothing is deleted."""
    node = Node(valkey_url, tmp_path, keep_days=0, keep_runs=0)
    run = ended(node, 10_000 * DAY)
    node.retention.sweep()
    assert shown(node.read(run)) == b"x" * 600_000


def test_each_user_keeps_the_newest_runs(valkey_url: str, tmp_path: Path) -> None:
    """Beyond KEEP_RUNS a user's oldest ended runs go, other users' and live ones stay; later ends are seen, too."""
    node = Node(valkey_url, tmp_path, keep_runs=2)
    live = node.run(created=5.0)
    mine = [ended(node, age) for age in (400, 300, 200, 100)]
    other = ended(node, 500, user=User("bob", "Bob", ""))
    node.retention.sweep()
    assert [run.id for run in node.runs.of_user(ANN.id, 10)] == [mine[3].id, mine[2].id, live.id]
    newest = ended(node, 1)
    node.retention.sweep()
    assert [run.id for run in node.runs.of_user(ANN.id, 10)] == [newest.id, mine[3].id, live.id]
    assert [run.id for run in node.runs.of_user("bob", 10)] == [other.id]


def test_a_live_run_is_never_deleted(node: Node) -> None:
    """Not even where an index names it by mistake."""
    run = node.run()
    assert not node.retention.delete(run.id)
    assert node.runs.get(run.id) is not None
    assert [record.kind for record in node.read(run)] == [Kind.STATUS]


@pytest.mark.parametrize("step", ["archive", "record"])
def test_a_deletion_that_was_cut_off_is_ended_later(
    node: Node, valkey_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Who dies between the steps leaves a run that reads as empty; a later sweep ends it whatever the settings are."""
    run = ended(node, 31 * DAY)

    def fail(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system") if step == "archive" else StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        part: object = node.archive if step == "archive" else node.ended
        patch.setattr(part, "delete_run" if step == "archive" else "forget", fail)
        if step == "archive":
            assert not node.retention.delete(run.id)
        else:
            with pytest.raises(StoreUnavailable):
                node.retention.delete(run.id)
    assert node.runs.get(run.id) is not None
    assert node.output.read(run.id, (0, 0), 10) == []
    Node(valkey_url, node.folder, keep_days=0, keep_runs=0).retention.sweep()
    assert keys_of(redis_client, run) == []
    assert not (node.folder / run.id).exists()


def test_a_full_store_can_still_be_relieved(node: Node, redis_client: redis.Redis) -> None:
    """Where nothing can be stored any more, old runs are deleted and ended ones archived all the same."""
    old, young = ended(node, 31 * DAY), ended(node, 60)
    redis_client.config_set("maxmemory", 1)
    redis_client.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(StoreUnavailable):
        node.run()
    assert node.ended.claim("node-a", 10)
    node.retention.sweep()
    assert keys_of(redis_client, old) == []
    assert [record.kind for record in node.in_log(young)] == [Kind.END]
    assert shown(node.read(young)) == b"x" * 600_000


def test_one_node_at_a_time_looks_after_old_runs(node: Node, redis_client: redis.Redis) -> None:
    """The claim is one node's, which keeps it while it asks again; another gets it when the first has gone."""
    assert node.ended.claim("node-a", 30)
    assert not node.ended.claim("node-b", 30)
    assert node.ended.claim("node-a", 0.05)
    time.sleep(0.1)
    assert node.ended.claim("node-b", 30)
    assert not node.ended.claim("node-a", 30)


def test_two_nodes_that_archive_one_run_at_once_do_no_harm(node: Node) -> None:
    """Whatever the order of their steps, the output reads the same afterwards."""
    for _ in range(5):
        run, data = node.printed(700_000)
        nodes = [node.again() for _ in range(3)]
        threads = [threading.Thread(target=each.archiver.archive, args=(run.id, len(data))) for each in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shown(node.read(run)) == data
        assert [record.kind for record in node.in_log(run)] == [Kind.END]


def test_output_without_a_record_goes_after_a_day(node: Node, redis_client: redis.Redis) -> None:
    """What the archive has of runs that nobody knows is deleted, unless it is new, or older than this store."""
    known, fresh = ended(node, 60), new_id()
    since = node.ended.archive_since()
    redis_client.set("archive:since", time.time() - 10 * DAY)
    assert node.ended.archive_since() < since
    lost, foreign = new_id(), new_id()
    (node.folder / "lost+found").mkdir()
    for name, days in ((known.id, 5), (fresh, 0.5), (lost, 5), (foreign, 20)):
        (node.folder / name).mkdir(exist_ok=True)
        os.utime(node.folder / name, (0, time.time() - days * DAY))
    node.retention.delete_orphans()
    assert {each.name for each in node.folder.iterdir()} == {known.id, fresh, foreign, "lost+found"}


def test_a_key_of_a_deleted_run_starts_a_new_one(node: Node) -> None:
    """The same key within a day, after the run of the first call was deleted: a run that exists."""
    first = Run(new_id(), "job", "Job", ANN, Status.QUEUED, 1.0, "thread", epoch=1, node="node-a")
    assert node.runs.create(first, "key").id == first.id
    assert node.runs.finish(first.id, 1, Status.FAILED, ended=1.0)
    node.retention.sweep()
    second = replace(first, id=new_id(), created=time.time())
    assert node.runs.create(second, "key").id == second.id
    assert node.runs.get(second.id) is not None


@pytest.mark.parametrize(
    "wrong", ["../../etc/passwd", "", "x" * 21, "x" * 23, "a/b" + "x" * 19, ".." + "x" * 20 + "\n"]
)
def test_no_path_leaves_the_archive(node: Node, wrong: str) -> None:
    """An id that no run can have reaches no file."""
    node.folder.mkdir()
    for call in (node.archive.blocks, node.archive.delete_run):
        with pytest.raises(ValueError, match="no run can have the id"):
            call(wrong)
