"""Queues in trouble: Stop, lost nodes and full stores; nothing that ends keeps a slot."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import redis

from app.errors import StoreUnavailable
from app.lease import MISSES, Leases
from app.model import Run, Status
from app.stack import ThreadingStack
from app.store.runs import Runs
from tests.integration.queue_fixture import BOB, QUEUE, left_over, new_run, queued, runs_in, take_next


def test_stop_and_take_race_a_thousand_times(valkey_url: str, runs: Runs, redis_client: redis.Redis) -> None:
    """A run that Stop reaches first is never taken; one that is taken first has no go any more: never both."""
    taken: dict[str, Run] = {}
    others, done = runs_in(valkey_url), threading.Event()

    def take() -> None:
        while not done.is_set():
            run = others.take(QUEUE, "runner")
            if run is not None:
                taken[run.id] = run

    taker = threading.Thread(target=take)
    taker.start()
    outcomes = {True: 0, False: 0}
    for number in range(1000):
        run = queued(runs)
        if number % 2:
            time.sleep(0.0002)
        runs.ask_to_stop(run.id)
        found = runs.get(run.id)
        assert found is not None
        never = found.status is Status.STOPPED
        outcomes[never] += 1
        if not never:
            assert found.status is Status.STOPPING
            assert runs.asked_to_end([run.id]) == ([run.id], [])
            assert runs.finish(run.id, found.epoch, Status.STOPPED)
            deadline = time.monotonic() + 10
            while run.id not in taken:
                assert time.monotonic() < deadline
        else:
            assert run.id not in taken
    done.set()
    taker.join()
    assert len(taken) == outcomes[False]
    assert outcomes[False] > 0
    assert left_over(redis_client) == []


def test_stop_and_kill_are_heard_and_wake_supervisors(runs: Runs, redis_client: Any) -> None:
    """A live run's go, then its mercy is taken away, each with a call on the channel; a run that waits just ends."""
    channel = redis_client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe("stops")
    run, waiting = queued(runs), queued(runs)
    assert take_next(runs) == run.id
    both = [run.id, waiting.id]
    assert runs.asked_to_end(both) == ([], [])
    assert runs.ask_to_stop(run.id)
    assert runs.asked_to_end(both) == ([run.id], [])
    runs.ask_to_kill(run.id)
    assert runs.asked_to_end(both) == ([run.id], [run.id])
    assert runs.ask_to_kill(waiting.id)
    found = runs.get(waiting.id)
    assert found is not None
    assert found.status is Status.STOPPED
    assert found.ended is not None
    assert not runs.ask_to_stop(waiting.id)
    heard: list[str] = []
    deadline = time.monotonic() + 10
    while len(heard) < 2 and time.monotonic() < deadline:
        message = channel.get_message(timeout=1)
        heard += [message["data"].decode()] if message else []
    assert heard == [f"{run.id} stop", f"{run.id} kill"]
    channel.close()


def test_every_way_to_end_gives_the_slot_back(runs: Runs, redis_client: redis.Redis) -> None:
    """Finished, lost, withdrawn, and stopped, waiting or not: nothing of a run is left in queues and sets."""
    for end in ("finish", "lose", "withdraw", "stop"):
        for taken in (True, False):
            run = queued(runs, job_limit=1, user_limit=1)
            if taken:
                assert take_next(runs) == run.id
                redis_client.delete(f"run:{run.id}:lease")
            if end == "finish":
                runs.finish(run.id, None, Status.FAILED)
            elif end == "lose":
                runs.lose(run.id)
            elif end == "withdraw":
                runs.withdraw(run, "key", "not stored in time")
            else:
                runs.ask_to_stop(run.id)
                runs.finish(run.id, None, Status.STOPPED)
            assert left_over(redis_client) == []


def test_a_full_store_takes_no_run_and_still_frees_slots(runs: Runs, redis_client: redis.Redis) -> None:
    """At maxmemory nothing is taken by half; Stop, ends, presence and tidying work."""
    first, second, third = (queued(runs, job_limit=1) for _ in range(3))
    assert take_next(runs) == first.id
    before = redis_client.zrange(f"queue:{QUEUE}", 0, -1)
    redis_client.config_set("maxmemory", 1)
    assert runs.finish(first.id, None, Status.SUCCEEDED)
    with pytest.raises(StoreUnavailable, match="full"):
        runs.take(QUEUE, "runner")
    assert redis_client.zrange(f"queue:{QUEUE}", 0, -1) == before
    assert redis_client.zcard("runs:live") == 0
    with pytest.raises(StoreUnavailable, match="full"):
        queued(runs)
    assert runs.ask_to_stop(second.id)
    runs.present(QUEUE, "runner", "a note")
    assert runs.takers(QUEUE) == {"runner": "a note"}
    assert runs.tidy() == 0
    redis_client.config_set("maxmemory", 0)
    assert take_next(runs) == third.id


def test_what_does_not_belong_in_sets_and_queues_is_tidied_away(runs: Runs, redis_client: redis.Redis) -> None:
    """A store that was meddled with, or restored in parts: slots and places of runs that are no more are free again."""
    running, waiting, gone = queued(runs, job_limit=2), queued(runs, BOB, job_limit=2), queued(runs, job_limit=2)
    assert take_next(runs) == running.id
    redis_client.sadd("active:job:job", "no-run")
    redis_client.sadd("active", "active:job:job")
    redis_client.delete(f"run:{gone.id}", f"run:{gone.id}:go", f"run:{gone.id}:mercy")
    assert take_next(runs) == ""
    assert runs.turns([gone.id]) == {}
    assert runs.tidy() == 2
    assert runs.tidy() == 0
    assert take_next(runs) == waiting.id
    for run in (running, waiting):
        runs.finish(run.id, None, Status.SUCCEEDED)
    assert left_over(redis_client) == []


def test_takers_are_up_for_as_long_as_they_say_so(runs: Runs, redis_client: redis.Redis) -> None:
    """Presence ends by itself and at a word; each node has a note of its own."""
    runs.present(QUEUE, "a", "one")
    runs.present(QUEUE, "b")
    runs.present(QUEUE, "a", "two")
    assert runs.takers(QUEUE) == {"a": "two", "b": ""}
    runs.absent(QUEUE, "b")
    assert runs.takers(QUEUE) == {"a": "two"}
    redis_client.zadd(f"takers:{QUEUE}", {"a": 1})
    assert runs.takers(QUEUE) == {}
    assert runs.takers("celery:default") == {}


def test_a_node_that_died_loses_the_runs_that_waited_for_it(runs: Runs, redis_client: redis.Redis) -> None:
    """A run that waits for a node's threads has a lease; without it, it is lost, and its place is free."""
    waiting = runs.create(new_run(queue="thread:gone"), None)
    redis_client.delete(f"run:{waiting.id}:lease")

    class Nobody:
        """Another node, without runs."""

        def held(self) -> list[Run]:
            """As Holder.held."""
            return []

        def stop(self, run_id: str) -> None:
            """As Holder.stop."""

        def kill(self, run_id: str) -> None:
            """As Holder.kill."""

    leases = Leases(ThreadingStack(), runs, Nobody())
    for _ in range(MISSES):
        leases.sweep()
    found = runs.get(waiting.id)
    assert found is not None
    assert found.status is Status.LOST
    assert left_over(redis_client) == []


def test_the_bell_rings_for_a_start_and_is_bounded(runs: Runs, redis_client: redis.Redis) -> None:
    """It rings once somebody waits; however often it rang, it does not keep ringing."""
    assert not runs.bell(QUEUE, 0.1)
    for _ in range(30):
        queued(runs)
    assert runs.bell(QUEUE, 5)
    assert redis_client.llen(f"bell:{QUEUE}") <= 8
