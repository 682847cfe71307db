"""The log in a real store: order, one writer, one end, and every byte as it was printed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from app.errors import Fenced
from app.masking import Masker
from app.model import Kind, Record, Run, Status, Stream, User, new_id
from app.recorder import unfinished
from tests.integration.log_fixture import ANN, Store


def test_records_are_addressed_by_byte_offset(store: Store) -> None:
    """What is appended comes back with its place, stream, time and line; the next append needs the position."""
    run = store.run()
    end = store.log.append(run.id, 1, 0, [Record(0, data=b"a\nb", line=1, time=5.5), Record(0, data=b"!", line=2)])
    assert end == 4
    first, second = [each for each in store.log.read(run.id, (0, 0), 10) if each.kind is Kind.OUTPUT]
    assert (first.start, first.position, first.data, first.line, first.time) == (0, 3, b"a\nb", 1, 5.5)
    assert (second.start, second.position, second.line) == (3, 4, 2)
    found = store.runs.get(run.id)
    assert found is not None
    assert found.position == 4


def test_a_repeated_append_changes_nothing(store: Store) -> None:
    """A writer that never got its answer sends the piece again: it is stored once."""
    run = store.run()
    piece = [Record(0, data=b"once\n")]
    assert store.log.append(run.id, 1, 0, piece) == 5
    assert store.log.append(run.id, 1, 0, piece) == 5
    assert store.stored(run) == b"once\n"


def test_a_writer_of_another_epoch_is_refused(store: Store) -> None:
    """A stale writer's record is not stored even at the right position."""
    run = store.run(epoch=2)
    with pytest.raises(Fenced):
        store.log.append(run.id, 1, 0, [Record(0, data=b"stale")])
    assert store.stored(run) == b""


def test_nothing_is_stored_after_the_final_status(store: Store) -> None:
    """Output that comes after the end is refused, and the recorder tells its executor."""
    run = store.run()
    told: list[bool] = []
    recorder = store.recorder(run, on_fenced=lambda: told.append(True))
    recorder.store(recorder.prepare([(Stream.OUT, b"before\n")]))
    assert store.runs.finish(run.id, 1, Status.SUCCEEDED, exit_code=0)
    recorder.store(recorder.prepare([(Stream.OUT, b"after\n")]))
    assert told == [True]
    assert store.stored(run) == b"before\n"


def test_a_run_gets_exactly_one_final_status(store: Store) -> None:
    """Of many that would end a run at once, one wins, and the record is that one's."""
    run = store.run()
    won: list[Status] = []

    def finish(status: Status) -> None:
        if store.runs.finish(run.id, 1, status):
            won.append(status)

    threads = [threading.Thread(target=finish, args=(s,)) for s in list(Status)[3:] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.runs.get(run.id)
    assert found is not None
    assert won == [found.status]
    ends = [record for record in store.log.read(run.id, (0, 0), 100) if record.kind is Kind.END]
    assert len(ends) == 1


def test_stop_and_end_race_without_a_second_end(store: Store) -> None:
    """Stop that comes after the end changes nothing, one that comes before is seen."""
    run = store.run()
    assert store.runs.change(run.id, (Status.QUEUED,), status=Status.RUNNING, started=1.0)
    assert store.runs.finish(run.id, 1, Status.SUCCEEDED)
    assert not store.runs.change(run.id, (Status.QUEUED, Status.RUNNING), status=Status.STOPPING)
    found = store.runs.get(run.id)
    assert found is not None
    assert found.status is Status.SUCCEEDED


def test_the_same_key_is_the_same_run(store: Store) -> None:
    """Twenty starts at once with one key make one run; another user's same key makes another."""
    found: list[str] = []

    def start(user: User) -> None:
        run = Run(new_id(), "job", "Job", user, Status.QUEUED, time.time(), "thread", epoch=1, node="n")
        found.append(store.runs.create(run, "key").id)

    threads = [threading.Thread(target=start, args=(ANN,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    start(User("bob", "Bob", ""))
    assert len(set(found)) == 2
    assert [run.id for run in store.runs.of_user("ann", 10)] == found[:1]


def test_history_is_newest_first_and_by_user(store: Store) -> None:
    """A user's history holds that user's runs, in pages."""
    made = [store.run(created=float(number)) for number in range(1, 6)]
    store.run(user=User("bob", "Bob", ""))
    assert [run.id for run in store.runs.of_user("ann", 3)] == [run.id for run in made[:1:-1]]
    assert [run.id for run in store.runs.of_user("ann", 3, before=3.0)] == [made[1].id, made[0].id]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_every_cut_of_the_output_stores_the_same_bytes(store: Store, size: int) -> None:
    """Whatever the pieces, stored bytes are exact, and each record decodes by itself to the same text."""
    whole = ("naïve ☃ 🐍 \x00\x1b[31m\r\n" * 9).encode() + b"\xff\xfe broken \xe2\x98" + b"\xc3"
    run = store.run()
    recorder = store.recorder(run)
    for start in range(0, len(whole), size):
        recorder.store(recorder.prepare([(Stream.OUT, whole[start : start + size])]))
    recorder.end()
    assert store.stored(run) == whole
    records = store.log.read(run.id, (0, 0), 10_000)
    text = "".join(record.data.decode("utf-8", "replace") for record in records)
    assert text == whole.decode("utf-8", "replace")


def test_a_line_of_ten_megabytes_is_cut_into_records(store: Store) -> None:
    """A huge line becomes records of the bound at most and reads back to the byte."""
    run = store.run()
    line = "é🐍x".encode() * 1_500_000 + b"\n"
    recorder = store.recorder(run, record_bytes=65_536)
    recorder.store(recorder.prepare([(Stream.OUT, line)]))
    assert max(len(record.data) for record in store.log.read(run.id, (0, 0), 1000)) <= 65_536
    assert store.stored(run) == line


def test_lines_are_numbered_in_the_whole_output(store: Store) -> None:
    """Each record knows the number of its first line as a download of all output has it."""
    run = store.run()
    recorder = store.recorder(run)
    recorder.store(
        recorder.prepare([(Stream.OUT, b"1\n2\n"), (Stream.ERR, b"e1\n"), (Stream.OUT, b"3"), (Stream.OUT, b"\n4\n")])
    )
    lines = [(r.stream, r.line) for r in store.log.read(run.id, (0, 0), 99) if r.data]
    assert lines == [(Stream.OUT, 1), (Stream.ERR, 3), (Stream.OUT, 4), (Stream.OUT, 4)]


def test_secrets_are_masked_before_they_are_stored(store: Store, redis_client: redis.Redis) -> None:
    """A secret that comes in two writes is nowhere in the store."""
    run = store.run()
    recorder = store.recorder(run, masker=Masker(["canary-token-1234"]))
    recorder.store(recorder.prepare([(Stream.OUT, b"token: canary-to")]))
    recorder.store(recorder.prepare([(Stream.ERR, b"between\n"), (Stream.OUT, b"ken-1234\n")]))
    recorder.end()
    assert store.stored(run) == b"token: between\n*****\n"
    assert b"canary" not in b"".join(redis_client.dump(key) or b"" for key in redis_client.scan_iter())


def test_waiting_gets_news_of_several_runs_and_can_be_woken(store: Store) -> None:
    """One call waits for all watched runs, and ends early when it is woken."""
    first, second = store.run(), store.run()
    ends = {run.id: store.log.end(run.id) for run in (first, second)}

    def later(work: Callable[[], object]) -> None:
        threading.Timer(0.05, work).start()

    later(lambda: store.log.append(second.id, 1, 0, [Record(0, data=b"news")]))
    news: dict[str, list[Record]] = {}
    while not news:
        news = store.log.wait(ends, 1, 10)
    assert [r.data for r in news[second.id]] == [b"news"]
    later(store.log.wake)
    began = time.monotonic()
    assert store.log.wait({first.id: ends[first.id]}, 1, 10) == {}
    assert time.monotonic() - began < 0.9


def test_unfinished_characters_are_recognised() -> None:
    """Only the beginning of a valid character is held back."""
    assert [unfinished(text.encode()[:-1]) for text in ("é", "☃", "🐍")] == [1, 2, 3]
    assert [unfinished(data) for data in (b"", b"a", "é".encode(), b"\xff", b"\xe2\x28", b"\xf8", b"\x80")] == [0] * 7


@pytest.mark.parametrize("leg", ["threading", "eventlet"])
def test_more_callers_than_connections_wait_for_their_turn(valkey_url: str, leg: str) -> None:
    """With four connections, fifty writers and readers at once are all served, none is refused."""
    code = """
import sys, time
from app.config import load_settings
from app.model import *
from app.stack import make_stack
from app.store.connection import connect
from app.store.log import Log
from app.store.runs import Runs
stack = make_stack(sys.argv[2])
settings = load_settings(None, redis_url=sys.argv[1], redis_connections=4)
log, runs, done = Log(settings, stack, "n"), Runs(connect(settings, stack)), []
def work(number):
    run = Run(str(number), "j", "J", User("u", "U", ""), Status.QUEUED, time.time(), "thread", epoch=1, node="n")
    runs.create(run, None)
    for n in range(20):
        log.append(run.id, 1, n, [Record(0, data=b"x")])
    done.append(runs.get(run.id).position)
for number in range(50):
    stack.spawn(work, number)
deadline = time.monotonic() + 30
while len(done) < 50 and time.monotonic() < deadline:
    stack.sleep(0.01)
assert done == [20] * 50, done
"""
    command = [sys.executable, "-W", "ignore", "-c", code, valkey_url, leg]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], timeout=60)
