"""Leases: who lives keeps its runs, whatever becomes of the store; who dies loses them, once."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import Any

import pytest
import redis

from app.config import load_settings
from app.errors import Fenced, StoreUnavailable
from app.lease import GONE, MISSES, Leases
from app.model import Kind, Record, Run, Status, User, new_id
from app.stack import ThreadingStack
from app.store.connection import connect
from app.store.log import Log
from app.store.runs import LEASE_SECONDS, Runs
from tests.killable import Valkey
from tests.waiting import wait_until

ANN = User("ann", "Ann Example", "ann@example.com")


class Node:
    """A node as far as leases go: its runs, and which of them were asked to stop."""

    def __init__(self, url: str) -> None:
        settings, stack = load_settings(None, redis_url=url), ThreadingStack()
        self.log = Log(settings, stack, new_id())
        self.runs = Runs(connect(settings, stack))
        self.mine: dict[str, Run] = {}
        self.asked: list[tuple[str, str]] = []
        self.leases = Leases(stack, self.runs, self)

    def held(self) -> list[Run]:
        """As Holder.held."""
        return list(self.mine.values())

    def stop(self, run_id: str) -> None:
        """As Holder.stop."""
        self.asked.append(("stop", run_id))

    def kill(self, run_id: str) -> None:
        """As Holder.kill."""
        self.asked.append(("kill", run_id))

    def start(self, **values: Any) -> Run:
        """A run of this node."""
        run = Run(new_id(), "job", "Job", ANN, Status.RUNNING, time.time(), "thread", epoch=1)
        self.mine[run.id] = self.runs.create(replace(run, **values), None)
        return self.mine[run.id]

    def sweep(self, times: int) -> None:
        """Sweep so many times."""
        for _ in range(times):
            self.leases.sweep()

    def status(self, run: Run) -> Status:
        """A run's status as it is stored."""
        found = self.runs.get(run.id)
        assert found is not None
        return found.status


@pytest.fixture
def here(valkey_url: str) -> Node:
    """A node."""
    return Node(valkey_url)


@pytest.fixture
def there(valkey_url: str) -> Node:
    """Another node with the same store."""
    return Node(valkey_url)


def _lease(run: Run) -> str:
    return f"run:{run.id}:lease"


def test_a_run_has_a_lease_from_its_start_that_is_renewed(here: Node, redis_client: redis.Redis) -> None:
    """The lease is made with the run, in one step, and lasts its whole time again after a renewal."""
    run = here.start()
    assert LEASE_SECONDS - 5 < redis_client.pttl(_lease(run)) / 1000 <= LEASE_SECONDS
    redis_client.pexpire(_lease(run), 1000)
    here.leases.renew()
    assert redis_client.pttl(_lease(run)) / 1000 > LEASE_SECONDS - 5
    assert here.asked == []


def test_a_full_store_renews_leases_and_restores_them(here: Node, redis_client: redis.Redis) -> None:
    """At maxmemory a lease is renewed, one that has run out is made again, and a new run is refused."""
    kept, expired = here.start(), here.start()
    redis_client.config_set("maxmemory", 1)
    redis_client.pexpire(_lease(kept), 1000)
    redis_client.delete(_lease(expired))
    here.leases.renew()
    assert redis_client.pttl(_lease(kept)) > 5000
    assert redis_client.pttl(_lease(expired)) > 5000
    with pytest.raises(StoreUnavailable, match="full"):
        here.start()


def test_a_dead_nodes_run_is_lost_once(here: Node, there: Node, redis_client: redis.Redis) -> None:
    """A run without a lease is lost after several sweeps, by one of the nodes, and has one final record."""
    run = here.start()
    redis_client.delete(_lease(run))
    there.sweep(MISSES - 1)
    assert there.status(run) is Status.RUNNING
    third = Node(redis_client_url(redis_client))
    third.sweep(MISSES - 1)
    there.sweep(1)
    third.sweep(3)
    found = there.runs.get(run.id)
    assert found is not None
    assert (found.status, found.message) == (Status.LOST, GONE)
    assert [record.kind for record in there.log.read(run.id, (0, 0), 9)].count(Kind.END) == 1
    assert redis_client.zcard("runs:live") == 0


def test_a_lost_runs_writer_is_fenced_and_asked_to_stop(here: Node, there: Node, redis_client: redis.Redis) -> None:
    """After the end that others recorded, no output, change, end or lease of the old holder is accepted."""
    run = here.start()
    here.log.append(run.id, 1, 0, [Record(0, data=b"before")])
    redis_client.delete(_lease(run))
    there.sweep(MISSES)
    with pytest.raises(Fenced):
        here.log.append(run.id, 1, 6, [Record(0, data=b"after")])
    assert not here.runs.change(run.id, (Status.RUNNING,), progress=[1, 2])
    assert not here.runs.finish(run.id, 1, Status.SUCCEEDED)
    here.leases.renew()
    assert here.asked == [("stop", run.id)]
    assert not redis_client.exists(_lease(run))
    assert there.status(run) is Status.LOST


def test_a_living_holder_restores_an_expired_lease_in_time(here: Node, there: Node, redis_client: redis.Redis) -> None:
    """The store's clock jumps, or it was away for long: all leases are gone, and no run of a living node is lost."""
    runs = [here.start() for _ in range(3)]
    for _ in range(3):
        redis_client.delete(*map(_lease, runs))
        there.sweep(MISSES - 1)
        here.leases.renew()
        there.sweep(1)
    assert {there.status(run) for run in runs} == {Status.RUNNING}
    assert here.asked == []


def test_what_a_failed_sweep_would_have_seen_counts_for_nothing(
    here: Node, there: Node, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that cannot reach the store begins the count anew: before and after an outage are not in a row."""
    run = here.start()
    redis_client.delete(_lease(run))
    there.sweep(MISSES - 1)
    with monkeypatch.context() as patch:
        patch.setattr(there.leases, "_runs", Runs(redis.Redis(unix_socket_path="/nonexistent")))
        with pytest.raises(StoreUnavailable):
            there.leases.sweep()
    there.sweep(MISSES - 1)
    assert there.status(run) is Status.RUNNING
    there.sweep(1)
    assert there.status(run) is Status.LOST


def test_a_store_that_could_not_be_written_gives_holders_time(valkey: Valkey) -> None:
    """Leases run out while the disk is full: with room again, whoever lives restores them before any run is lost."""
    here, there = Node(f"unix://{valkey.socket}"), Node(f"unix://{valkey.socket}")
    run = here.start()
    with valkey.client() as client:
        client.delete(_lease(run))
        valkey.fill_disk()
        wait_until(lambda: _refuses(client))
        for _ in range(3 * MISSES):
            with contextlib.suppress(StoreUnavailable):
                there.leases.sweep()
        valkey.free_disk()
        wait_until(lambda: not _refuses(client))
    there.sweep(MISSES - 1)
    assert there.status(run) is Status.RUNNING
    here.leases.renew()
    there.sweep(1)
    assert there.status(run) is Status.RUNNING
    assert here.asked == []


def _refuses(client: redis.Redis) -> bool:
    try:
        client.set("something", "1")
    except redis.ResponseError:
        return True
    return False


def test_a_lease_restored_at_the_last_moment_saves_the_run(here: Node, redis_client: redis.Redis) -> None:
    """Whether there is a lease is asked in the same step that ends the run."""
    run = here.start()
    assert not here.runs.lose(run.id, message=GONE)
    redis_client.delete(_lease(run))
    assert here.runs.lose(run.id, message=GONE)
    assert not here.runs.lose(run.id, message=GONE)


def test_a_nodes_sweep_spares_its_own_runs(here: Node, redis_client: redis.Redis) -> None:
    """What happens here is not lost, even where its lease cannot be kept; what was stored and never began is."""
    run, forgotten = here.start(), here.start()
    del here.mine[forgotten.id]
    redis_client.delete(_lease(run), _lease(forgotten))
    here.sweep(MISSES + 2)
    assert (here.status(run), here.status(forgotten)) == (Status.RUNNING, Status.LOST)


def test_a_start_whose_answer_was_lost_may_be_sent_again(here: Node, redis_client: redis.Redis) -> None:
    """The same run stored twice is one run with one record of its beginning."""
    run = here.start()
    assert here.runs.create(run, None).id == run.id
    assert here.runs.create(run, "key").id == run.id
    assert redis_client.xlen(f"run:{run.id}:log") == 1


def test_a_start_that_was_not_answered_is_withdrawn(here: Node) -> None:
    """A run that was stored and never began fails, and its key starts another; what was never stored is no matter."""
    run = replace(here.start(), id=new_id())
    here.runs.withdraw(run, "key", "too late")
    stored = here.runs.create(run, "key")
    assert stored.id == run.id
    here.runs.withdraw(run, "key", "too late")
    found = here.runs.get(run.id)
    assert found is not None
    assert (found.status, found.message) == (Status.FAILED, "too late")
    other = replace(run, id=new_id())
    assert here.runs.create(other, "key").id == other.id
    here.runs.withdraw(run, "key", "too late")
    assert here.runs.create(replace(run, id=new_id()), "key").id == other.id
    assert here.status(other) is Status.RUNNING


def redis_client_url(client: redis.Redis) -> str:
    """The address that a client has."""
    return f"unix://{client.connection_pool.connection_kwargs['path']}"


def test_a_kill_that_nobody_heard_is_obeyed(here: Node) -> None:
    """Who pressed Kill now as the run was on its way here gets a kill, and no Stop with all of its stages first."""
    killed, stopped = here.start(), here.start()
    here.start()
    here.runs.ask_to_kill(killed.id)
    here.runs.ask_to_stop(stopped.id)
    here.leases.obey()
    assert here.asked == [("kill", killed.id), ("stop", killed.id), ("stop", stopped.id)]


def test_a_run_that_others_have_called_lost_is_not_killed(here: Node, redis_client: redis.Redis) -> None:
    """It is asked to stop, and has its time to clean up."""
    run = here.start()
    redis_client.delete(f"run:{run.id}:lease")
    assert here.runs.lose(run.id, message=GONE)
    here.leases.obey()
    assert here.asked == [("stop", run.id)]
