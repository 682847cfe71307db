"""Queues: who waits gets a turn, once and in a fair order; nothing that ends keeps a slot."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import redis

from app.config import load_settings
from app.errors import StoreUnavailable, TooMany
from app.lease import MISSES, Leases
from app.model import Kind, Run, Status, User, new_id
from app.stack import ThreadingStack
from app.store.connection import connect
from app.store.log import Log
from app.store.runs import Bounds, Runs

ANN = User("ann", "Ann Example", "ann@example.com")
BOB = User("bob", "Bob Example", "bob@example.com")
QUEUE = "process"


def _runs(url: str) -> Runs:
    return Runs(connect(load_settings(None, redis_url=url), ThreadingStack()))


@pytest.fixture
def runs(valkey_url: str) -> Runs:
    """The runs of an empty store."""
    return _runs(valkey_url)


def _new(user: User = ANN, job: str = "job", **values: Any) -> Run:
    chosen = {"status": Status.QUEUED, "queue": QUEUE, "params": {}, **values}
    return Run(id=new_id(), job=job, title="Job", user=user, created=time.time(), executor="process", **chosen)


def _wait(runs: Runs, user: User = ANN, job: str = "job", bounds: Bounds | None = None, **values: Any) -> Run:
    """A run that waits."""
    return runs.create(_new(user, job, **values), None, bounds, kept=False)


def _take(runs: Runs, node: str = "runner") -> str:
    """The id of the run that is taken next, or ""."""
    taken = runs.take(QUEUE, node)
    return taken.id if taken else ""


def _left(client: Any) -> list[str]:
    """All keys that tell of waiting and happening runs."""
    names = [key.decode() for key in client.keys("*")]
    signs = ("lease", "go", "mercy")
    return sorted(
        name
        for name in names
        if name.startswith(("queue", "active", "runs:live")) or (name.startswith("run:") and name.endswith(signs))
    )


def test_a_taken_run_is_running_with_a_lease_and_an_epoch(runs: Runs, redis_client: redis.Redis) -> None:
    """Until it is taken a run has no lease; then it is live, counts, and its log has the news."""
    run = _wait(runs)
    assert (run.status, run.started, runs.position_of(run)) == (Status.QUEUED, None, 1)
    assert redis_client.zcard("runs:live") == 0
    taken = runs.take(QUEUE, "runner")
    assert taken is not None
    assert taken == runs.get(run.id)
    assert (taken.status, taken.node) == (Status.RUNNING, "runner")
    assert taken.epoch > 0
    assert taken.started is not None
    assert redis_client.pttl(f"run:{run.id}:lease") > 10_000
    assert runs.position_of(taken) is None
    assert runs.take(QUEUE, "runner") is None
    log = Log(load_settings(None, redis_url=f"unix://{_path(redis_client)}"), ThreadingStack(), "n")
    assert [record.kind for record in log.read(run.id, (0, 0), 9)] == [Kind.STATUS]
    assert runs.finish(run.id, taken.epoch, Status.SUCCEEDED)
    assert _left(redis_client) == []


def _path(client: redis.Redis) -> str:
    return str(client.connection_pool.connection_kwargs["path"])


def test_users_take_turns(runs: Runs) -> None:
    """Somebody with many waiting runs holds up nobody: each user's next run comes once in a turn."""
    first = [_wait(runs, ANN) for _ in range(5)]
    second = [_wait(runs, BOB) for _ in range(2)]
    third = _wait(runs, User("eve", "Eve", ""))
    expected = [first[0], second[0], third, first[1], second[1], *first[2:]]
    assert [runs.position_of(run) for run in expected] == list(range(1, 9))
    assert [_take(runs) for _ in range(8)] == [run.id for run in expected]


def test_who_comes_later_waits_one_turn_at_most(runs: Runs) -> None:
    """The clock goes on: a newcomer is neither behind a long queue nor before those of this turn."""
    many = [_wait(runs, ANN) for _ in range(50)]
    for run in many[:20]:
        assert _take(runs) == run.id
    newcomer = _wait(runs, BOB)
    assert runs.position_of(newcomer) == 2
    assert [_take(runs), _take(runs)] == [many[20].id, newcomer.id]


def test_stopping_waiting_runs_gains_no_turns(runs: Runs) -> None:
    """Who stops the last of many waiting runs and starts another gets the place that this one had."""
    for _ in range(5):
        last = _wait(runs, ANN)
    others = [_wait(runs, BOB) for _ in range(5)]
    for _ in range(10):
        runs.ask_to_stop(last.id)
        last = _wait(runs, ANN)
    assert runs.position_of(last) == 10
    assert runs.position_of(others[4]) == 9


def test_a_job_with_a_limit_lets_others_pass(runs: Runs, redis_client: redis.Redis) -> None:
    """Only one run at a time of such a job, in order; other jobs' runs do not wait for it."""
    first, second = _wait(runs, job="one", job_limit=1), _wait(runs, job="one", job_limit=1)
    other = _wait(runs, BOB, job="other")
    assert [_take(runs) for _ in range(3)] == [first.id, other.id, ""]
    assert runs.turns([second.id, first.id])[second.id].reason == "takers"
    runs.present(QUEUE, "runner")
    turns = runs.turns([first.id, second.id])
    assert list(turns) == [second.id]
    assert (turns[second.id].place, turns[second.id].takers, turns[second.id].reason) == (1, 1, "job")
    redis_client.delete(f"bell:{QUEUE}")
    runs.finish(first.id, None, Status.FAILED)
    assert runs.bell(QUEUE, 5)
    assert _take(runs) == second.id


def test_a_user_with_enough_runs_waits_and_others_do_not(runs: Runs) -> None:
    """A user's limit counts runs of all queues, and holds up that user alone."""
    elsewhere = runs.create(_new(ANN, status=Status.RUNNING, queue="thread:node", epoch=1, user_limit=2), None)
    assert elsewhere.status is Status.RUNNING
    mine = [_wait(runs, ANN, user_limit=2) for _ in range(3)]
    other = _wait(runs, BOB, user_limit=2)
    assert [_take(runs) for _ in range(3)] == [mine[0].id, other.id, ""]
    assert runs.turns([mine[1].id])[mine[1].id].reason == "takers"
    runs.finish(elsewhere.id, 1, Status.SUCCEEDED)
    assert [_take(runs), _take(runs)] == [mine[1].id, ""]


def test_a_run_begins_at_once_where_nobody_waits(runs: Runs) -> None:
    """One call stores and admits it; behind somebody who could begin it waits, behind who could not it does not."""
    here: dict[str, Any] = {"status": Status.RUNNING, "queue": "thread:node", "epoch": 1, "started": 1.0}
    one = runs.create(_new(job="one", job_limit=1, **here), None)
    held = runs.create(_new(job="one", job_limit=1, **here), None)
    passing = runs.create(_new(BOB, job="other", **here), None)
    assert [each.status for each in (one, held, passing)] == [Status.RUNNING, Status.QUEUED, Status.RUNNING]
    assert (held.started, held.epoch) == (None, 0)
    runs.finish(one.id, 1, Status.SUCCEEDED)
    late = runs.create(_new(BOB, job="other", **here), None)
    assert late.status is Status.QUEUED
    taken = [runs.take("thread:node", "node"), runs.take("thread:node", "node")]
    assert [each.id for each in taken if each] == [held.id, late.id]


def test_each_bound_refuses_clearly_and_others_are_unaffected(runs: Runs, redis_client: redis.Redis) -> None:
    """Beyond a user's waiting runs, all waiting runs, and a user's starts in a minute: too_many, and nothing stored."""
    bounds = Bounds(user_starts=5, user_waiting=2, queue_runs=4)
    for user in (ANN, BOB):
        for _ in range(2):
            _wait(runs, user, bounds=bounds)
        with pytest.raises(TooMany, match="2 of your runs wait"):
            _wait(runs, user, bounds=bounds)
    with pytest.raises(TooMany, match="4 runs wait"):
        _wait(runs, User("eve", "Eve", ""), bounds=bounds)
    while _take(runs):
        pass
    for _ in range(3):
        taken = runs.create(_new(status=Status.RUNNING, epoch=1), None, bounds)
        assert taken.status is Status.RUNNING
    with pytest.raises(TooMany, match=r"within a minute. Please wait \d+ s"):
        _wait(runs, ANN, bounds=bounds)
    _wait(runs, BOB, bounds=bounds)
    assert 0 < redis_client.ttl("starts:ann") <= 60
    assert len(runs.of_user("ann", 50)) == 5


def test_the_same_start_again_is_no_second_start(runs: Runs, redis_client: redis.Redis) -> None:
    """A key finds the run that waits or runs; a call repeated after a lost answer changes nothing."""
    run, bounds = _new(), Bounds(user_starts=1, user_waiting=1, queue_runs=1)
    for _ in range(3):
        assert runs.create(run, "key", bounds, kept=False).status is Status.QUEUED
    assert runs.create(_new(), "key", bounds, kept=False).id == run.id
    assert redis_client.zcard(f"queue:{QUEUE}") == 1
    assert redis_client.get("starts:ann") == b"1"
    taken = runs.take(QUEUE, "runner")
    assert taken is not None
    again = runs.create(run, "key", bounds, kept=False)
    assert (again.status, again.epoch) == (Status.RUNNING, taken.epoch)


def test_a_claim_whose_answer_was_lost_is_answered_again(
    runs: Runs, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store claims and the answer is lost: asked again it names the same run, and then the next."""
    first, second = _wait(runs), _wait(runs)
    real = runs._take

    def lossy(**call: Any) -> Any:
        real(**call)
        raise redis.exceptions.TimeoutError

    monkeypatch.setattr(runs, "_take", lossy)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            runs.take(QUEUE, "runner")
    monkeypatch.undo()
    assert redis_client.zcard("runs:live") == 1
    assert [_take(runs), _take(runs), _take(runs)] == [first.id, second.id, ""]


def test_many_takers_claim_each_run_once(valkey_url: str, runs: Runs) -> None:
    """Four takers at once: no run is claimed twice, none is left."""
    expected = {_wait(runs, User(f"user-{number % 7}", "U", "")).id for number in range(200)}
    found: list[str] = []

    def take() -> None:
        mine = _runs(valkey_url)
        while taken := _take(mine):
            found.append(taken)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len(found) == 200
    assert set(found) == expected


def test_stop_and_take_race_a_thousand_times(valkey_url: str, runs: Runs, redis_client: redis.Redis) -> None:
    """A run that Stop reaches first is never taken; one that is taken first has no go any more: never both."""
    taken: dict[str, Run] = {}
    others, done = _runs(valkey_url), threading.Event()

    def take() -> None:
        while not done.is_set():
            run = others.take(QUEUE, "runner")
            if run is not None:
                taken[run.id] = run

    taker = threading.Thread(target=take)
    taker.start()
    outcomes = {True: 0, False: 0}
    for number in range(1000):
        run = _wait(runs)
        if number % 2:
            time.sleep(0.0002)
        runs.ask_to_stop(run.id)
        found = runs.get(run.id)
        assert found is not None
        never = found.status is Status.STOPPED
        outcomes[never] += 1
        if not never:
            assert found.status is Status.STOPPING
            assert runs.asked_to_stop([run.id]) == [run.id]
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
    assert _left(redis_client) == []


def test_stop_and_kill_are_heard_and_wake_supervisors(runs: Runs, redis_client: Any) -> None:
    """A live run's go, then its mercy is taken away, each with a call on the channel; a run that waits just ends."""
    channel = redis_client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe("stops")
    run, waiting = _wait(runs), _wait(runs)
    assert _take(runs) == run.id
    both = [run.id, waiting.id]
    assert (runs.asked_to_stop(both), runs.asked_to_kill(both)) == ([], [])
    assert runs.ask_to_stop(run.id)
    assert (runs.asked_to_stop(both), runs.asked_to_kill(both)) == ([run.id], [])
    runs.ask_to_kill(run.id)
    assert runs.asked_to_kill(both) == [run.id]
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
    assert heard == [run.id, run.id]
    channel.close()


def test_every_way_to_end_gives_the_slot_back(runs: Runs, redis_client: redis.Redis) -> None:
    """Finished, lost, withdrawn, and stopped, waiting or not: nothing of a run is left in queues and sets."""
    for end in ("finish", "lose", "withdraw", "stop"):
        for taken in (True, False):
            run = _wait(runs, job_limit=1, user_limit=1)
            if taken:
                assert _take(runs) == run.id
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
            assert _left(redis_client) == []


def test_a_full_store_takes_no_run_and_still_frees_slots(runs: Runs, redis_client: redis.Redis) -> None:
    """At maxmemory nothing is taken by half; Stop, ends, presence and tidying work."""
    first, second, third = (_wait(runs, job_limit=1) for _ in range(3))
    assert _take(runs) == first.id
    before = redis_client.zrange(f"queue:{QUEUE}", 0, -1)
    redis_client.config_set("maxmemory", 1)
    assert runs.finish(first.id, None, Status.SUCCEEDED)
    with pytest.raises(StoreUnavailable, match="full"):
        runs.take(QUEUE, "runner")
    assert redis_client.zrange(f"queue:{QUEUE}", 0, -1) == before
    assert redis_client.zcard("runs:live") == 0
    with pytest.raises(StoreUnavailable, match="full"):
        _wait(runs)
    assert runs.ask_to_stop(second.id)
    runs.present(QUEUE, "runner", "a note")
    assert runs.takers(QUEUE) == {"runner": "a note"}
    assert runs.tidy() == 0
    redis_client.config_set("maxmemory", 0)
    assert _take(runs) == third.id


def test_what_does_not_belong_in_sets_and_queues_is_tidied_away(runs: Runs, redis_client: redis.Redis) -> None:
    """A store that was meddled with, or restored in parts: slots and places of runs that are no more are free again."""
    running, waiting, gone = _wait(runs, job_limit=2), _wait(runs, BOB, job_limit=2), _wait(runs, job_limit=2)
    assert _take(runs) == running.id
    redis_client.sadd("active:job:job", "no-run")
    redis_client.sadd("active", "active:job:job")
    redis_client.delete(f"run:{gone.id}", f"run:{gone.id}:go", f"run:{gone.id}:mercy")
    assert _take(runs) == ""
    assert runs.turns([gone.id]) == {}
    assert runs.tidy() == 2
    assert runs.tidy() == 0
    assert _take(runs) == waiting.id
    for run in (running, waiting):
        runs.finish(run.id, None, Status.SUCCEEDED)
    assert _left(redis_client) == []


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
    waiting = runs.create(_new(queue="thread:gone"), None)
    redis_client.delete(f"run:{waiting.id}:lease")

    class Nobody:
        """Another node, without runs."""

        def held(self) -> list[Run]:
            """As Holder.held."""
            return []

        def stop(self, run_id: str) -> None:
            """As Holder.stop."""

    leases = Leases(ThreadingStack(), runs, Nobody())
    for _ in range(MISSES):
        leases.sweep()
    found = runs.get(waiting.id)
    assert found is not None
    assert found.status is Status.LOST
    assert _left(redis_client) == []


def test_the_bell_rings_for_a_start_and_is_bounded(runs: Runs, redis_client: redis.Redis) -> None:
    """It rings once somebody waits; however often it rang, it does not keep ringing."""
    assert not runs.bell(QUEUE, 0.1)
    for _ in range(30):
        _wait(runs)
    assert runs.bell(QUEUE, 5)
    assert redis_client.llen(f"bell:{QUEUE}") <= 8
