"""The archive: older output leaves Redis, readers see one sequence all the same, and what had to go is told."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import redis

from app.config import load_settings
from app.errors import ConfigError, StoreUnavailable
from app.model import Kind, Record, Status
from app.store.blocks import Block
from tests.archiving import MEGABYTE, Node, shown
from tests.waiting import wait_until


def test_older_output_leaves_redis_and_reads_the_same(node: Node) -> None:
    """Of a long run Redis holds a bounded part; readers get every byte once, from the beginning and from within."""
    run, data = node.printed(900_000)
    hot = sum(len(record.data) for record in node.in_log(run))
    assert 0 < hot <= 2 * 0.25 * MEGABYTE
    assert shown(node.read(run)) == data
    for position in (1, 4096, 50_000, 300_001, 899_999):
        records = node.read(run, (position, 0), 3)
        assert shown(records)[position - records[0].start :] == data[position:]
    assert node.output.bounds(run.id) == (0, 900_000)


def test_head_and_tail_have_room_for_what_redis_holds(tmp_path: Path) -> None:
    """RUN_MEGABYTES below twice HOT_MEGABYTES ends the start with a sentence."""
    with pytest.raises(ConfigError, match="RUN_MEGABYTES: expected at least twice HOT_MEGABYTES"):
        load_settings(None, hot_megabytes=1, run_megabytes=1.9)
    assert load_settings(None, data_dir=tmp_path).archive_folder == tmp_path / "archive"


def test_the_archive_is_for_its_owner_alone(node: Node) -> None:
    """Folders and files of the archive have no rights for others, and no half-written file stays behind."""
    run, _ = node.printed(600_000)
    files = list((node.folder / run.id).iterdir())
    assert files
    assert all(Block.named(file.name) for file in files)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (node.folder, node.folder / run.id)} == {0o700}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_beyond_the_cap_head_and_tail_are_kept(node: Node) -> None:
    """Of a run beyond RUN_MEGABYTES the first and the last half stay; one record says how much went, and why."""
    run, data = node.printed(5_000_000)
    records = node.read(run)
    gaps = [record for record in records if record.omitted]
    assert len(gaps) == 1
    head, tail = gaps[0].start, len(data) - gaps[0].position
    assert 0.5 * MEGABYTE <= head <= 0.8 * MEGABYTE
    assert 0.5 * MEGABYTE <= tail <= 0.8 * MEGABYTE
    assert shown(records) == data[:head] + b"<%d>" % gaps[0].omitted + data[-tail:]
    assert gaps[0].reason == "RUN_MEGABYTES=1 keeps the first and the last 0.5 MB"
    within = node.read(run, (head + 5, 0))
    assert (within[0].kind, within[0].omitted, within[0].reason) == (
        Kind.OMITTED,
        gaps[0].omitted - 5,
        gaps[0].reason,
    )
    stored = sum(block.end - block.start for block in node.archive.blocks(run.id))
    assert stored < 1.5 * MEGABYTE


def test_a_flood_of_short_records_stays_bounded_too(node: Node, redis_client: redis.Redis) -> None:
    """Records of two bytes cost Redis more than their bytes: that is counted."""
    run = node.run()
    hot = node.archiver.open(run.id)
    position = 0
    for _ in range(60):
        pieces = [Record(0, data=b"x\n", line=position // 2 + number, time=1.0) for number in range(500)]
        position = node.log.append(run.id, 1, position, pieces)
        hot.appended(position, len(pieces))
    wait_until(lambda: not hot.moving)
    assert (redis_client.memory_usage(f"run:{run.id}:log", samples=0) or 0) < 2 * 0.25 * MEGABYTE
    assert shown(node.read(run, count=700)) == b"x\n" * 30_000


def test_an_ended_run_leaves_only_its_end_in_redis(node: Node, redis_client: redis.Redis) -> None:
    """Some time after its end all output of a run is in the archive, and its end still comes last."""
    run, data = node.printed(300_000)
    small, few = node.printed(150)
    silent, _ = node.printed(0)
    node.retention.sweep()
    for each, printed in ((run, data), (small, few), (silent, b"")):
        assert [record.kind for record in node.in_log(each)] == [Kind.END]
        records = node.read(each)
        assert shown(records) == printed
        assert records[-1].kind is Kind.END
        assert records[-1].position == len(printed)
    assert redis_client.zcard("runs:cooling") == 0


def test_a_run_that_has_just_ended_stays_in_redis(valkey_url: str, tmp_path: Path) -> None:
    """Before ARCHIVE_MINUTES have gone by nothing is moved."""
    node = Node(valkey_url, tmp_path, archive_minutes=10)
    run, data = node.printed(150)
    node.retention.sweep()
    assert b"".join(record.data for record in node.in_log(run)) == data
    assert node.archive.blocks(run.id) == []


def test_a_crash_between_put_and_trim_changes_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who dies after the block is stored and before the log is trimmed leaves no double and no gap."""
    run, data = node.printed(200_000)
    with monkeypatch.context() as patch:
        patch.setattr(node.log, "trim", lambda *_: (_ for _ in ()).throw(StoreUnavailable("gone")))
        assert not node.archiver.archive(run.id, 200_000)
    assert node.archive.blocks(run.id)
    assert shown(node.read(run)) == data
    assert node.archiver.archive(run.id, 200_000)
    assert shown(node.read(run)) == data
    blocks = node.archive.blocks(run.id)
    assert [block.start for block in blocks[1:]] == [block.end for block in blocks[:-1]]


@pytest.mark.parametrize("harm", ["gone", "empty", "cut", "flipped", "another", "random", "bomb"])
def test_a_damaged_block_is_told_as_missing(node: Node, harm: str, caplog: pytest.LogCaptureFixture) -> None:
    """A block that is gone or damaged reads as bytes that are missing; all the others read as before."""
    run, data = node.printed(900_000)
    blocks = node.archive.blocks(run.id)
    block = blocks[1]
    file = node.folder / run.id / block.name
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[len(flipped) // 2] ^= 1
    harmed = {
        "empty": b"",
        "cut": content[:-3],
        "flipped": bytes(flipped),
        "another": (node.folder / run.id / blocks[0].name).read_bytes(),
        "random": os.urandom(500),
        # The beginning of a frame that claims to hold a terabyte.
        "bomb": b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00",
    }
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(harmed[harm])
        # What was read before is still known.
        node = node.again()
    gap = b"<%d>" % (block.end - block.start)
    assert shown(node.read(run)) == data[: block.start] + gap + data[block.end :]
    assert next(record.reason for record in node.read(run) if record.omitted) == ""
    assert (block.name in caplog.text) == (harm != "gone")


def test_news_without_output_do_not_pile_up(node: Node, redis_client: redis.Redis) -> None:
    """A run that only tells its progress leaves one note in its log, however long it goes on; readers hear of it."""
    run = node.run()
    for done in range(2000):
        node.runs.change(run.id, (Status.QUEUED,), progress=(done, 2000))
    assert (redis_client.memory_usage(f"run:{run.id}:log", samples=0) or 0) < 10_000
    notes = node.in_log(run)
    assert [(record.kind, record.position) for record in notes] == [(Kind.STATUS, 0)]
    node.log.append(run.id, 1, 0, [Record(0, data=b"said\n", line=1)])
    node.runs.change(run.id, (Status.QUEUED,), progress=(2000, 2000))
    assert [record.cursor for record in node.read(run, notes[-1].cursor)] == [(5, 0), (5, 1)]
    assert node.runs.finish(run.id, 1, Status.SUCCEEDED)
    assert [record.kind for record in node.in_log(run)][-2:] == [Kind.STATUS, Kind.END]
