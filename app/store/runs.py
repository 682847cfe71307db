"""Run records: one hash a run, with exactly one final status; users' histories; which runs live, and their leases."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from app.model import Run, Status, User
from app.store.connection import store_errors
from app.store.log import log_key
from app.store.scripts import ALWAYS, CHANGE, CREATE, FINISH, LOSE, RESTORE

KEY_SECONDS = 86_400
LIVE = "runs:live"
LEASE_SECONDS = 15.0


class Runs:
    """All that is stored of runs but their output; raises StoreUnavailable."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._changed: Callable[[str], object] = lambda _run_id: None
        self._create = client.register_script(CREATE)
        # A status is told even by a full store, so that Stop works there; progress, of which there is no end, is not.
        self._change_status = client.register_script(ALWAYS + CHANGE)
        self._change = client.register_script(CHANGE)
        self._finish = client.register_script(ALWAYS + FINISH)
        self._lose = client.register_script(ALWAYS + LOSE)
        self._restore = client.register_script(ALWAYS + RESTORE)

    def create(self, run: Run, key: str | None) -> Run:
        """Store a new run with its lease, or find the one that the same user started with `key` within a day."""
        keyed = _key(run.user.id, key) if key else ""
        keys = [keyed, f"run:{run.id}", log_key(run.id), f"user:{run.user.id}:runs", LIVE, _go(run.id), _lease(run.id)]
        times = [run.created, KEY_SECONDS, _milliseconds(LEASE_SECONDS)]
        with store_errors():
            found = self._create(keys=keys, args=[run.id, *times, *_flat(_fields(run))]).decode()
        return run if found == run.id else self.get(found) or run

    def get(self, run_id: str) -> Run | None:
        """The run, or None."""
        with store_errors():
            return _run(run_id, self._client.hgetall(f"run:{run_id}"))

    def of_user(self, user_id: str, limit: int, before: float | None = None) -> list[Run]:
        """A user's runs, newest first; `before` is a time of creation."""
        newest = "+inf" if before is None else f"({before}"
        with store_errors():
            ids = self._client.zrevrangebyscore(f"user:{user_id}:runs", newest, "-inf", start=0, num=limit)
            pipeline = self._client.pipeline(transaction=False)
            for run_id in ids:
                pipeline.hgetall(b"run:" + run_id)
            answers = pipeline.execute()
        runs = (_run(run_id.decode(), fields) for run_id, fields in zip(ids, answers, strict=True))
        return [run for run in runs if run is not None]

    def change(self, run_id: str, allowed: Iterable[Status], **values: Any) -> bool:
        """Set fields where the status is one of `allowed`, and tell followers; False where it is another."""
        keys = [f"run:{run_id}", log_key(run_id)]
        script = self._change_status if "status" in values else self._change
        with store_errors():
            return self._told(run_id, script(keys=keys, args=[f",{','.join(allowed)},", *_flat(_texts(values))]))

    def finish(self, run_id: str, epoch: int | None, status: Status, **values: Any) -> bool:
        """Give the run its final status; False where it has one, or another epoch."""
        return self._end(self._finish, run_id, "" if epoch is None else epoch, status, values)

    def withdraw(self, run: Run, key: str | None, message: str) -> None:
        """End a run that never began, if it is stored at all; its `key` may start another."""
        self.finish(run.id, run.epoch, Status.FAILED, message=message)
        if key:
            with store_errors():
                name = _key(run.user.id, key)
                if self._client.get(name) == run.id.encode():
                    self._client.delete(name)

    def lose(self, run_id: str, **values: Any) -> bool:
        """Call the run lost, unless it has its final status or a lease."""
        return self._end(self._lose, run_id, "", Status.LOST, values)

    def _end(self, script: Any, run_id: str, epoch: int | str, status: Status, values: dict[str, Any]) -> bool:
        keys = [f"run:{run_id}", log_key(run_id), LIVE, _go(run_id), _lease(run_id)]
        texts = _texts({"status": status, "ended": time.time(), **values})
        with store_errors():
            return self._told(run_id, script(keys=keys, args=[epoch, run_id, *_flat(texts)]))

    def on_change(self, function: Callable[[str], object]) -> None:
        """Have `function` called with the id of each run that this process changes, as soon as that is stored."""
        self._changed = function

    def _told(self, run_id: str, done: int) -> bool:
        if done:
            self._changed(run_id)
        return bool(done)

    def ask_to_stop(self, run_id: str) -> None:
        """Delete the run's go: its executor sees that, wherever it is, and even a full store allows it."""
        with store_errors():
            self._client.delete(_go(run_id))

    def asked_to_stop(self, run_ids: Sequence[str]) -> list[str]:
        """Those of these live runs that somebody asked to stop."""
        with store_errors():
            pipeline = self._client.pipeline(transaction=False)
            for run_id in run_ids:
                # A store that has forgotten the run has forgotten its go with it.
                pipeline.exists(f"run:{run_id}").exists(_go(run_id))
            answers = pipeline.execute()
        known = zip(run_ids, answers[::2], answers[1::2], strict=True)
        return [run_id for run_id, exists, goes in known if exists and not goes]

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


def _key(user_id: str, key: str) -> str:
    return f"key:{user_id}:{key}"


def _lease(run_id: str) -> str:
    return f"run:{run_id}:lease"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _texts(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value) if isinstance(value, (dict, list, tuple)) else "" if value is None else value
        for name, value in values.items()
    }


def _flat(fields: dict[str, Any]) -> list[Any]:
    return [each for pair in fields.items() for each in pair]


def _fields(run: Run) -> dict[str, Any]:
    values = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    del values["id"], values["ended"]
    values["user"] = dataclasses.astuple(run.user)
    return _texts(values)


def _run(run_id: str, fields: dict[bytes, bytes]) -> Run | None:
    if not fields:
        return None
    texts = {name.decode(): value.decode() for name, value in fields.items()}

    def number(name: str) -> float | None:
        return float(texts[name]) if texts.get(name) else None

    code = number("exit_code")
    return Run(
        id=run_id,
        job=texts["job"],
        title=texts["title"],
        user=User(*json.loads(texts["user"])),
        status=Status(texts["status"]),
        created=float(texts["created"]),
        executor=texts["executor"],
        params=json.loads(texts["params"]),
        started=number("started"),
        ended=number("ended"),
        exit_code=None if code is None else int(code),
        message=texts["message"],
        progress=tuple(json.loads(texts["progress"])) if texts.get("progress") else None,
        position=int(texts["position"]),
        epoch=int(texts["epoch"]),
        node=texts["node"],
        omitted=int(texts.get("omitted", 0)),
        stage=json.loads(texts["stage"]) if texts.get("stage") else None,
        signal=texts.get("signal", ""),
    )
