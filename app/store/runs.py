"""Run records: one hash a run, with exactly one final status; users' histories; which runs live, and their leases."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.errors import LoginRequired, TooMany
from app.model import Admission, Run, Status
from app.store.connection import store_errors
from app.store.fields import changes_of, fields_of, flat, run_of, texts
from app.store.log import log_key
from app.store.queue import LEASE_SECONDS, Queue
from app.store.scripts import ALWAYS, CHANGE, CREATE, FINISH, LOSE, RESTORE, STOP

__all__ = ["LEASE_SECONDS", "LIVE", "Bounds", "Forgotten", "Runs"]

KEY_SECONDS = 86_400
LIVE = "runs:live"
ANY = 1_000_000_000
# What scripts answer where they do nothing of what was asked.
REFUSED = -1


class Forgotten(Exception):
    """The store has less of a run's output than was stored: it was killed before it had written that to its file."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is refused beyond: a user's starts in a minute, a user's waiting runs in a queue, and all there."""

    user_starts: int = ANY
    user_waiting: int = ANY
    queue_runs: int = ANY


class Runs(Queue):
    """All that is stored of runs but their output; raises StoreUnavailable."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._create = client.register_script(CREATE)
        # A status is told even by a full store, so that Stop works there; progress, of which there is no end, is not.
        self._change_status = client.register_script(ALWAYS + CHANGE)
        self._change = client.register_script(CHANGE)
        self._finish = client.register_script(ALWAYS + FINISH)
        self._lose = client.register_script(ALWAYS + LOSE)
        self._restore = client.register_script(ALWAYS + RESTORE)
        self._stop = client.register_script(ALWAYS + STOP)

    def create(self, run: Run, key: str | None, bounds: Bounds | None = None, *, kept: bool = True) -> Run:
        """Store a new run, or find the one that the same user started with `key` within a day.

        A run that is to be `running` is so where nothing before it in its queue could begin, and its job and user have
        room; else it is `queued` in `run.queue`. `kept`: its node holds a lease for it also while it waits.

        Raises: TooMany beyond the bounds.
        """
        limits, begins = bounds or Bounds(), run.status is Status.RUNNING
        keyed = _key(run.user.id, key) if key else ""
        keys = [keyed, f"run:{run.id}", log_key(run.id), f"user:{run.user.id}:runs", LIVE, *_signs(run.id)]
        about = [run.created, KEY_SECONDS, _milliseconds(LEASE_SECONDS), run.queue, run.job, run.user.id]
        rules = [int(begins), int(kept), run.job_limit, run.user_limit]
        most = [limits.user_starts, limits.user_waiting, limits.queue_runs]
        with store_errors():
            found = self._create(keys=keys, args=[run.id, *about, *rules, *most, *flat(fields_of(run))])
        found_id, *rest = found
        if not found_id:
            raise _too_many(rest[0].decode(), rest[1])
        if found_id.decode() != run.id:
            return self.get(found_id.decode()) or run
        status = Status(rest[0].decode())
        waits = status is Status.QUEUED and bool(run.queue)
        return replace(run, status=status, epoch=int(rest[1]), started=None if waits else run.started)

    def get(self, run_id: str) -> Run | None:
        """The run, or None."""
        with store_errors():
            return run_of(run_id, self._client.hgetall(f"run:{run_id}"))

    def of_user(self, user_id: str, limit: int, before: float | None = None) -> list[Run]:
        """A user's runs, newest first; `before` is a time of creation."""
        newest = "+inf" if before is None else f"({before}"
        with store_errors():
            ids = self._client.zrevrangebyscore(f"user:{user_id}:runs", newest, "-inf", start=0, num=limit)
            pipeline = self._client.pipeline(transaction=False)
            for run_id in ids:
                pipeline.hgetall(b"run:" + run_id)
            answers = pipeline.execute()
        runs = (run_of(run_id.decode(), fields) for run_id, fields in zip(ids, answers, strict=True))
        return [run for run in runs if run is not None]

    def change(self, run_id: str, allowed: Iterable[Status], **values: Any) -> bool:
        """Set fields where the status is one of `allowed`, and tell followers; False where it is another."""
        keys = [f"run:{run_id}", log_key(run_id)]
        script = self._change_status if "status" in values else self._change
        with store_errors():
            return self._told(run_id, script(keys=keys, args=[f",{','.join(allowed)},", *flat(texts(values))]))

    def finish(
        self, run_id: str, epoch: int | None, status: Status, *, whole: int | None = None, **values: Any
    ) -> bool:
        """Give the run its final status; False where it has one, or another epoch.

        Raises: Forgotten where its output does not end at byte `whole`.
        """
        return self._end(self._finish, run_id, ("" if epoch is None else epoch, whole), status, values)

    def give_up_claims(self, queue: str, node: str, message: str) -> None:
        """End the runs that this node has claimed without hearing of it, and that will not begin here."""
        for run in self.unanswered(queue, node):
            self.finish(run.id, run.epoch, Status.STOPPED, message=message)

    def withdraw(self, run: Run, key: str | None, message: str) -> None:
        """End a run that never began, if it is stored at all; its `key` may start another."""
        self.finish(run.id, None, Status.FAILED, message=message)
        if key:
            with store_errors():
                name = _key(run.user.id, key)
                if self._client.get(name) == run.id.encode():
                    self._client.delete(name)

    def lose(self, run_id: str, **values: Any) -> bool:
        """Call the run lost, unless it has its final status or a lease."""
        return self._end(self._lose, run_id, ("", None), Status.LOST, values)

    def _end(
        self, script: Any, run_id: str, of: tuple[int | str, int | None], status: Status, values: dict[str, Any]
    ) -> bool:
        fields, (epoch, whole) = texts({"status": status, "ended": time.time(), **values}), of
        with store_errors():
            done = script(keys=_keys(run_id), args=[epoch, run_id, "" if whole is None else whole, *flat(fields)])
        if done == REFUSED:
            raise Forgotten
        return self._told(run_id, done)

    def ask_to_stop(self, run_id: str, admission: Admission | None = None) -> dict[str, Any]:
        """End a run that waits; have a live one `stopping`: who supervises it sees that, even where the store is full.

        Answers what changes of a run as it is now, or nothing where nothing did. With an `admission` it is asked for
        in the same step.

        Raises: LoginRequired where that is no more.
        """
        return self._ask(run_id, admission, kill=False)

    def ask_to_kill(self, run_id: str, admission: Admission | None = None) -> dict[str, Any]:
        """As ask_to_stop, and what supervises the run has no more patience with it."""
        return self._ask(run_id, admission, kill=True)

    def _ask(self, run_id: str, admission: Admission | None, *, kill: bool) -> dict[str, Any]:
        ended = texts({"status": Status.STOPPED, "ended": time.time()})
        key, seconds = ([admission.key], admission.seconds) if admission else ([], 0)
        with store_errors():
            told = self._stop(keys=_keys(run_id) + key, args=[run_id, int(kill), seconds, *flat(ended)])
        if told == REFUSED:
            raise LoginRequired("Please log in.")
        self._told(run_id, len(told))
        return changes_of(dict(zip(told[::2], told[1::2], strict=True)))

    def asked_to_end(self, run_ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Those of these live runs that somebody asked to stop, and those of them that shall be killed now."""
        with store_errors():
            pipeline = self._client.pipeline(transaction=False)
            for run_id in run_ids:
                # A store that has forgotten the run has forgotten its signs with it.
                name = f"run:{run_id}"
                pipeline.exists(name).exists(_go(run_id)).exists(_mercy(run_id)).hexists(name, "ended")
            answers = pipeline.execute()
        known = list(zip(run_ids, *(answers[each::4] for each in range(4)), strict=True))
        stop = [run_id for run_id, exists, go, _, _ in known if exists and not go]
        # One that has its end already, as others have called it lost, may clean up.
        kill = [run_id for run_id, exists, _, mercy, ended in known if exists and not mercy and not ended]
        return stop, kill

    def renew(self, runs: Sequence[Run]) -> list[Run]:
        """Make the leases of these runs last their whole time again; answers the runs that have ended elsewhere."""
        lasting = _milliseconds(LEASE_SECONDS)
        with store_errors():
            pipeline = self._client.pipeline(transaction=False)
            for run in runs:
                # No write of new data, so a full store does it too.
                pipeline.pexpire(_lease(run.id), lasting)
            expired = [run for run, renewed in zip(runs, pipeline.execute(), strict=True) if not renewed]
            return [
                run
                for run in expired
                if not self._restore(keys=[f"run:{run.id}", _lease(run.id)], args=[run.epoch, lasting])
            ]

    def unleased(self) -> list[str]:
        """The ids of live runs whose lease has run out."""
        with store_errors():
            ids = [run_id.decode() for run_id in self._client.zrange(LIVE, 0, -1)]
            pipeline = self._client.pipeline(transaction=False)
            for run_id in ids:
                pipeline.exists(_lease(run_id))
            return [run_id for run_id, leased in zip(ids, pipeline.execute(), strict=True) if not leased]


def _go(run_id: str) -> str:
    return f"run:{run_id}:go"


def _mercy(run_id: str) -> str:
    return f"run:{run_id}:mercy"


def _signs(run_id: str) -> list[str]:
    return [_go(run_id), _mercy(run_id), _lease(run_id)]


def _keys(run_id: str) -> list[str]:
    return [f"run:{run_id}", log_key(run_id), LIVE, *_signs(run_id)]


def _too_many(what: str, number: int) -> TooMany:
    if what == "starts":
        seconds = max(1, number)
        return TooMany(f"You have started very many runs within a minute. Please wait {seconds} s.", seconds)
    if what == "waiting":
        return TooMany(f"{number} of your runs wait for their turn already. Please wait until one of them begins.")
    return TooMany(f"{number} runs wait for their turn already. Please try again later.")


def _key(user_id: str, key: str) -> str:
    return f"key:{user_id}:{key}"


def _lease(run_id: str) -> str:
    return f"run:{run_id}:lease"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
