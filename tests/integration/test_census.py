"""The system counted in one call: runs, queues, runners, workers, web servers."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import redis

from app.config import load_settings
from app.model import Run, Status, User, new_id
from app.stack import Stack
from app.store.census import Census, Numbers
from app.store.connection import connect
from app.store.runs import Runs

ANN = User("ann", "Ann", "")


@pytest.fixture
def stores(valkey_url: str, stack: Stack) -> tuple[Census, Runs]:
    """The census and the runs of an empty store."""
    client = connect(load_settings(None, redis_url=valkey_url), stack)
    return Census(client), Runs(client)


def _start(runs: Runs, queue: str, *, begins: bool) -> Run:
    status = Status.RUNNING if begins else Status.QUEUED
    run = Run(new_id(), "job", "Job", ANN, status, time.time(), "thread", queue=queue)
    return runs.create(run, None)


def test_an_empty_system_has_its_web_server(stores: tuple[Census, Runs]) -> None:
    """Nothing runs, nobody waits, and the node that asks is up."""
    census, _ = stores
    assert census.count("a") == Numbers(nodes=1)
    assert census.count("b").nodes == 2
    assert census.count("a").nodes == 2
    census.leave("b")
    assert census.count("a") == Numbers(nodes=1)


def test_runs_count_where_they_are(stores: tuple[Census, Runs]) -> None:
    """Those that happen, and those that wait by queue; the queues of threads are one; who ends is gone."""
    census, runs = stores
    happens = _start(runs, "thread:a", begins=True)
    for queue in ("thread:a", "thread:b", "process", "celery:gpu", "celery:gpu"):
        _start(runs, queue, begins=False)
    found = census.count("a")
    assert replace(found, queues={}) == Numbers(running=1, waiting=5, nodes=1)
    assert found.queues == {"celery:gpu": 2, "process": 1, "thread": 2}
    taken = runs.take("process", "r")
    assert taken
    assert census.count("a").running == 2
    assert runs.ask_to_stop(taken.id)
    assert census.count("a").running == 2, "one that is stopping happens still"
    for run in (happens, taken):
        runs.finish(run.id, None, Status.SUCCEEDED)
    found = census.count("a")
    assert (found.running, found.waiting, found.queues) == (0, 4, {"celery:gpu": 2, "thread": 2})


def test_takers_count_while_they_are_up(stores: tuple[Census, Runs], redis_client: redis.Redis) -> None:
    """Runners, and workers once each whatever they take from; who said so too long ago counts no more."""
    census, runs = stores
    for taker in ("process r1", "process r2", "celery:a w1", "celery:b w1", "celery:b w2"):
        runs.present(*taker.split())
    runs.present("thread:x", "x")
    assert census.count("a") == Numbers(runners=2, workers=2, nodes=1)
    runs.absent("process", "r1")
    runs.absent("celery:b", "w1")
    assert census.count("a") == Numbers(runners=1, workers=2, nodes=1)
    # As it is after 15 s.
    for taker in ("process r2", "celery:a w1", "celery:b w2"):
        queue, node = taker.split()
        redis_client.zadd(f"takers:{queue}", {node: 1})
    redis_client.zadd("nodes", {"a": 1, "b": 1})
    assert census.count("a") == Numbers(nodes=1)
    redis_client.delete("takers:process", "takers:process:notes")
    census.count("a")
    assert not redis_client.sismember("takers", "process")


def test_a_full_store_is_counted_all_the_same(stores: tuple[Census, Runs], redis_client: redis.Redis) -> None:
    """Counting takes no room to speak of."""
    census, _ = stores
    redis_client.config_set("maxmemory", 1)
    assert census.count("a").nodes == 1


def test_a_large_system_is_counted_quickly(stores: tuple[Census, Runs], redis_client: redis.Redis) -> None:
    """Thousands of waiting runs, hundreds of active jobs and queues: some milliseconds at most for the store."""
    census, _ = stores
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(300):
            for name in (f"active:job:j{number}", f"active:user:u{number}"):
                pipeline.sadd(name, *(f"{number}-{each}" for each in range(5)))
                pipeline.sadd("active", name)
            pipeline.zadd(f"queue:celery:q{number}", {f"{number}-{each}": each for each in range(50)})
            pipeline.sadd("queues", f"celery:q{number}")
        pipeline.execute()
    found = census.count("a")
    assert (found.running, found.waiting, len(found.queues)) == (1500, 15_000, 300)
    redis_client.config_resetstat()
    for _ in range(20):
        census.count("a")
    usec = redis_client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
    # The store's own time of one call, on a busy machine too.
    assert usec < 20_000, usec
