"""The log in a store that is full, or comes back with less than it had confirmed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from app.errors import StoreUnavailable
from app.model import Kind, Run, Status, Stream
from app.recorder import KEPT_BYTES, UNRECORDED, finish
from tests.integration.log_fixture import Store


def test_a_full_store_holds_the_writer_and_loses_nothing(store: Store, redis_client: redis.Redis) -> None:
    """While the store is full the recorder waits; once there is room the output is complete."""
    run = store.run()
    recorder = store.recorder(run)
    redis_client.config_set("maxmemory", 1)
    redis_client.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(StoreUnavailable, match="full"):
        store.run()
    thread = threading.Thread(target=recorder.store, args=(recorder.prepare([(Stream.OUT, b"patient\n")]),))
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    store.runs.ask_to_stop(run.id)
    assert store.runs.asked_to_end([run.id]) == ([run.id], [])
    redis_client.config_set("maxmemory", 0)
    thread.join(10)
    assert store.stored(run) == b"patient\n"


@contextlib.contextmanager
def forgetting(client: redis.Redis, run: Run) -> Iterator[None]:
    """The store forgets what is stored of a run meanwhile, as one that is killed may."""
    before = {key: client.dump(key) for key in (f"run:{run.id}", f"run:{run.id}:log")}
    yield
    for key, value in before.items():
        assert value is not None
        client.restore(key, 0, value, replace=True)


def test_a_forgotten_tail_is_stored_again(store: Store, redis_client: redis.Redis) -> None:
    """A store comes back with less than it had confirmed: the recorder has it still, at its next record or its end."""
    run = store.run()
    recorder = store.recorder(run)
    recorder.store(recorder.prepare([(Stream.OUT, b"kept\n")]))
    with forgetting(redis_client, run):
        recorder.store(recorder.prepare([(Stream.OUT, b"forgotten\n")]))
        recorder.store(recorder.prepare([(Stream.ERR, b"too\n")]))
    recorder.store(recorder.prepare([(Stream.OUT, b"next\n")]))
    assert store.stored(run) == b"kept\nforgotten\ntoo\nnext\n"
    with forgetting(redis_client, run):
        recorder.store(recorder.prepare([(Stream.OUT, b"last\n")]))
    recorder.end()
    finish(store.runs, run, recorder, time.sleep, Status.SUCCEEDED)
    assert store.stored(run) == b"kept\nforgotten\ntoo\nnext\nlast\n"
    ended = store.runs.get(run.id)
    assert ended is not None
    assert (ended.status, ended.position) == (Status.SUCCEEDED, 29)


def test_a_forgotten_tail_that_is_too_long_is_told(store: Store, redis_client: redis.Redis) -> None:
    """Of a long tail the last megabyte is stored again, and a record says how much is missing before."""
    run = store.run()
    recorder = store.recorder(run)
    recorder.store(recorder.prepare([(Stream.OUT, b"kept\n")]))
    with forgetting(redis_client, run):
        recorder.store(recorder.prepare([(Stream.OUT, b"x" * 3_000_000)]))
    recorder.store(recorder.prepare([(Stream.OUT, b"next\n")]))
    gap, *rest = [r for r in store.log.read(run.id, (5, 0), 9999) if r.kind is not Kind.STATUS]
    assert (gap.kind, gap.start) == (Kind.OMITTED, 5)
    assert 3_000_000 - KEPT_BYTES <= gap.omitted < 3_000_000 - KEPT_BYTES + 1024
    assert [record.start for record in rest] == [gap.position, *(record.position for record in rest[:-1])]
    assert rest[-1].position == 3_000_010


def test_a_tail_that_cannot_be_stored_again_loses_the_run(
    store: Store, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store has forgotten output and does not take it again: the run has an end all the same, and says so."""
    run = store.run()
    recorder = store.recorder(run)

    def fail(*_args: object) -> None:
        raise RuntimeError("surprise")

    with forgetting(redis_client, run):
        recorder.store(recorder.prepare([(Stream.OUT, b"forgotten\n")]))
    recorder.end()
    monkeypatch.setattr(store.log, "append", fail)
    finish(store.runs, run, recorder, time.sleep, Status.SUCCEEDED, exit_code=0)
    ended = store.runs.get(run.id)
    assert ended is not None
    assert (ended.status, ended.message) == (Status.LOST, UNRECORDED)


def test_a_run_ends_where_its_writer_is_another(store: Store) -> None:
    """Somebody else has written more: the end is not waited for for ever, and the run keeps what is there."""
    run = store.run()
    recorder, other = store.recorder(run), store.recorder(run)
    recorder.store(recorder.prepare([(Stream.OUT, b"mine\n")]))
    other.position = 5
    other.store(other.prepare([(Stream.OUT, b"theirs\n")]))
    recorder.end()
    finish(store.runs, run, recorder, time.sleep, Status.SUCCEEDED)
    ended = store.runs.get(run.id)
    assert ended is not None
    assert (ended.status, ended.position) == (Status.SUCCEEDED, 12)
    assert store.stored(run) == b"mine\ntheirs\n"
