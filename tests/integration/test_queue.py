"""Queues: who waits gets a turn, once and in a fair order, within its bounds."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import redis

from app.config import load_settings
from app.errors import StoreUnavailable, TooMany
from app.model import Kind, Status, User
from app.stack import ThreadingStack
from app.store.log import Log
from app.store.runs import Bounds, Runs
from tests.integration.queue_fixture import ANN, BOB, QUEUE, left_over, new_run, queued, runs_in, take_next


def test_a_taken_run_is_running_with_a_lease_and_an_epoch(runs: Runs, redis_client: redis.Redis) -> None:
    """Until it is taken a run has no lease; then it is live, counts, and its log has the news."""
    run = queued(runs)
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
    assert left_over(redis_client) == []


def _path(client: redis.Redis) -> str:
    return str(client.connection_pool.connection_kwargs["path"])


def test_users_take_turns(runs: Runs) -> None:
    """Somebody with many waiting runs holds up nobody: each user's next run comes once in a turn."""
    first = [queued(runs, ANN) for _ in range(5)]
    second = [queued(runs, BOB) for _ in range(2)]
    third = queued(runs, User("eve", "Eve", ""))
    expected = [first[0], second[0], third, first[1], second[1], *first[2:]]
    assert [runs.position_of(run) for run in expected] == list(range(1, 9))
    assert [take_next(runs) for _ in range(8)] == [run.id for run in expected]


def test_who_comes_later_waits_one_turn_at_most(runs: Runs) -> None:
    """The clock goes on: a newcomer is neither behind a long queue nor before those of this turn."""
    many = [queued(runs, ANN) for _ in range(50)]
    for run in many[:20]:
        assert take_next(runs) == run.id
    newcomer = queued(runs, BOB)
    assert runs.position_of(newcomer) == 2
    assert [take_next(runs), take_next(runs)] == [many[20].id, newcomer.id]


def test_stopping_waiting_runs_gains_no_turns(runs: Runs) -> None:
    """Who stops the last of many waiting runs and starts another gets the place that this one had."""
    for _ in range(5):
        last = queued(runs, ANN)
    others = [queued(runs, BOB) for _ in range(5)]
    for _ in range(10):
        runs.ask_to_stop(last.id)
        last = queued(runs, ANN)
    assert runs.position_of(last) == 10
    assert runs.position_of(others[4]) == 9


def test_a_job_with_a_limit_lets_others_pass(runs: Runs, redis_client: redis.Redis) -> None:
    """Only one run at a time of such a job, in order; other jobs' runs do not wait for it."""
    first, second = queued(runs, job="one", job_limit=1), queued(runs, job="one", job_limit=1)
    other = queued(runs, BOB, job="other")
    assert [take_next(runs) for _ in range(3)] == [first.id, other.id, ""]
    assert runs.turns([second.id, first.id])[second.id].reason == "takers"
    runs.present(QUEUE, "runner")
    turns = runs.turns([first.id, second.id])
    assert list(turns) == [second.id]
    assert (turns[second.id].place, turns[second.id].takers, turns[second.id].reason) == (1, 1, "job")
    redis_client.delete(f"bell:{QUEUE}")
    runs.finish(first.id, None, Status.FAILED)
    assert runs.bell(QUEUE, 5)
    assert take_next(runs) == second.id


def test_a_user_with_enough_runs_waits_and_others_do_not(runs: Runs) -> None:
    """A user's limit counts runs of all queues, and holds up that user alone."""
    elsewhere = runs.create(new_run(ANN, status=Status.RUNNING, queue="thread:node", epoch=1, user_limit=2), None)
    assert elsewhere.status is Status.RUNNING
    mine = [queued(runs, ANN, user_limit=2) for _ in range(3)]
    other = queued(runs, BOB, user_limit=2)
    assert [take_next(runs) for _ in range(3)] == [mine[0].id, other.id, ""]
    assert runs.turns([mine[1].id])[mine[1].id].reason == "takers"
    runs.finish(elsewhere.id, 1, Status.SUCCEEDED)
    assert [take_next(runs), take_next(runs)] == [mine[1].id, ""]


def test_a_run_begins_at_once_where_nobody_waits(runs: Runs) -> None:
    """One call stores and admits it; behind somebody who could begin it waits, behind who could not it does not."""
    here: dict[str, Any] = {"status": Status.RUNNING, "queue": "thread:node", "epoch": 1, "started": 1.0}
    one = runs.create(new_run(job="one", job_limit=1, **here), None)
    held = runs.create(new_run(job="one", job_limit=1, **here), None)
    passing = runs.create(new_run(BOB, job="other", **here), None)
    assert [each.status for each in (one, held, passing)] == [Status.RUNNING, Status.QUEUED, Status.RUNNING]
    assert (held.started, held.epoch) == (None, 0)
    runs.finish(one.id, 1, Status.SUCCEEDED)
    late = runs.create(new_run(BOB, job="other", **here), None)
    assert late.status is Status.QUEUED
    taken = [runs.take("thread:node", "node"), runs.take("thread:node", "node")]
    assert [each.id for each in taken if each] == [held.id, late.id]


def test_each_bound_refuses_clearly_and_others_are_unaffected(runs: Runs, redis_client: redis.Redis) -> None:
    """Beyond a user's waiting runs, all waiting runs, and a user's starts in a minute: too_many, and nothing stored."""
    bounds = Bounds(user_starts=5, user_waiting=2, queue_runs=4)
    for user in (ANN, BOB):
        for _ in range(2):
            queued(runs, user, bounds=bounds)
        with pytest.raises(TooMany, match="2 of your runs wait"):
            queued(runs, user, bounds=bounds)
    with pytest.raises(TooMany, match="4 runs wait"):
        queued(runs, User("eve", "Eve", ""), bounds=bounds)
    while take_next(runs):
        pass
    for _ in range(3):
        taken = runs.create(new_run(status=Status.RUNNING, epoch=1), None, bounds)
        assert taken.status is Status.RUNNING
    with pytest.raises(TooMany, match=r"within a minute. Please wait \d+ s"):
        queued(runs, ANN, bounds=bounds)
    queued(runs, BOB, bounds=bounds)
    assert 0 < redis_client.ttl("starts:ann") <= 60
    assert len(runs.of_user("ann", 50)) == 5


def test_the_same_start_again_is_no_second_start(runs: Runs, redis_client: redis.Redis) -> None:
    """A key finds the run that waits or runs; a call repeated after a lost answer changes nothing."""
    run, bounds = new_run(), Bounds(user_starts=1, user_waiting=1, queue_runs=1)
    for _ in range(3):
        assert runs.create(run, "key", bounds, kept=False).status is Status.QUEUED
    assert runs.create(new_run(), "key", bounds, kept=False).id == run.id
    assert redis_client.zcard(f"queue:{QUEUE}") == 1
    assert redis_client.get("starts:ann") == b"1"
    taken = runs.take(QUEUE, "runner")
    assert taken is not None
    again = runs.create(run, "key", bounds, kept=False)
    assert (again.status, again.epoch) == (Status.RUNNING, taken.epoch)


def _lose_answers(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the store claims, and nobody hears of it."""
    real = runs._take

    def lossy(**call: Any) -> Any:
        real(**call)
        raise redis.exceptions.TimeoutError

    monkeypatch.setattr(runs, "_take", lossy)


def _claim_unheard(runs: Runs, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """The store gives "runner" a run, and the answer is lost, so many times."""
    _lose_answers(runs, monkeypatch)
    for _ in range(times):
        with pytest.raises(StoreUnavailable):
            runs.take(QUEUE, "runner")
    monkeypatch.undo()


def test_a_claim_whose_answer_was_lost_is_answered_again(
    runs: Runs, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store claims and the answer is lost: asked again it names the same run, and then the next."""
    first, second = queued(runs), queued(runs)
    _claim_unheard(runs, monkeypatch, times=3)
    assert redis_client.zcard("runs:live") == 1
    assert [take_next(runs), take_next(runs), take_next(runs)] == [first.id, second.id, ""]


def test_whoever_leaves_gives_up_what_it_has_claimed_unheard(
    runs: Runs, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a run ends with a reason, and no other one is claimed for that."""
    first, second = queued(runs), queued(runs)
    _claim_unheard(runs, monkeypatch)
    for _ in range(2):
        runs.give_up_claims(QUEUE, "runner", "The server was stopped.")
    ended = runs.get(first.id)
    assert ended is not None
    assert (ended.status, ended.message) == (Status.STOPPED, "The server was stopped.")
    assert redis_client.zcard("runs:live") == 0
    assert [take_next(runs), take_next(runs)] == [second.id, ""]


def test_whoever_leaves_claims_nothing_instead(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store was away and has claimed nothing: what waits goes on waiting, for others."""

    def away(**_: Any) -> Any:
        raise redis.exceptions.ConnectionError

    first = queued(runs)
    monkeypatch.setattr(runs, "_take", away)
    with pytest.raises(StoreUnavailable):
        runs.take(QUEUE, "runner")
    monkeypatch.undo()
    runs.give_up_claims(QUEUE, "runner", "The server was stopped.")
    assert [take_next(runs), take_next(runs)] == [first.id, ""]


@pytest.mark.parametrize("gone", [False, True])
def test_a_claim_that_was_lost_for_too_long_is_none(
    runs: Runs, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """Its answer lost, the run was called lost by others, or deleted even: asked again there is the next one."""
    first, second = queued(runs), queued(runs)
    _claim_unheard(runs, monkeypatch)
    assert runs.finish(first.id, None, Status.LOST)
    if gone:
        redis_client.delete(f"run:{first.id}")
    assert [take_next(runs), take_next(runs)] == [second.id, ""]


def test_many_takers_claim_each_run_once(valkey_url: str, runs: Runs) -> None:
    """Four takers at once: no run is claimed twice, none is left."""
    expected = {queued(runs, User(f"user-{number % 7}", "U", "")).id for number in range(200)}
    found: list[str] = []

    def take() -> None:
        mine = runs_in(valkey_url)
        while taken := take_next(mine):
            found.append(taken)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len(found) == 200
    assert set(found) == expected
