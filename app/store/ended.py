"""Ended runs by the time of their end, and their deletion; FINISH puts each into both indexes."""

from __future__ import annotations

import json
import time
from typing import Any

from redis.exceptions import OutOfMemoryError

from app.model import Run
from app.store.connection import store_errors
from app.store.log import log_key
from app.store.scripts import ALWAYS

ENDED = "runs:ended"
# Those among them whose output is still in Redis.
COOLING = "runs:cooling"
CLAIM = "runs:retention"
SINCE = "archive:since"

# KEYS run, log, ended, cooling; ARGV id. From here on the run's output reads as empty, and whoever comes later goes on
# with its deletion, whatever the settings then.
# It makes room in a full store, so it is called there, too. Answers 0 for a live run.
CONDEMN = """
if redis.call('EXISTS', KEYS[1]) == 1 and not redis.call('HGET', KEYS[1], 'ended') then return 0 end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
return 1
"""


class EndedRuns:
    """What retention asks the store; raises StoreUnavailable."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._condemn = client.register_script(ALWAYS + CONDEMN)

    def claim(self, node: str, seconds: float) -> bool:
        """The right of one node to do this work, for so long; asked again by the node that has it, it lasts longer."""
        with store_errors():
            try:
                if self._client.set(CLAIM, node, nx=True, px=int(seconds * 1000)):
                    return True
            except OutOfMemoryError:
                # A full store needs this work, and two who do it at once do no harm.
                return True
            mine: bool = self._client.get(CLAIM) == node.encode()
            if mine:
                self._client.pexpire(CLAIM, int(seconds * 1000))
            return mine

    def cooling(self, before: float) -> list[str]:
        """Runs whose output is still in Redis and that ended before a time, oldest first."""
        return self._by_end(COOLING, before)

    def archived(self, run_id: str) -> None:
        """The run's output is in the archive."""
        with store_errors():
            self._client.zrem(COOLING, run_id)

    def ended(self, before: float) -> list[str]:
        """Runs that ended before a time, oldest first; those whose deletion has begun are the very first."""
        return self._by_end(ENDED, before)

    def _by_end(self, index: str, before: float) -> list[str]:
        with store_errors():
            return [run_id.decode() for run_id in self._client.zrangebyscore(index, "-inf", f"({before}")]

    def users_after(self, ended: float, count: int) -> tuple[set[str], float]:
        """The users of up to `count` runs that ended after a time, and the end of the last of these."""
        with store_errors():
            found = self._client.zrangebyscore(ENDED, f"({ended}", "+inf", start=0, num=count, withscores=True)
            pipeline = self._client.pipeline(transaction=False)
            for run_id, _ in found:
                pipeline.hget(b"run:" + run_id, "user")
            users = {str(json.loads(user)[0]) for user in set(pipeline.execute()) if user}
        return users, found[-1][1] if found else ended

    def surplus(self, user_id: str, keep: int) -> list[str]:
        """A user's runs but the newest `keep`, oldest first; live ones among them."""
        with store_errors():
            return [run_id.decode() for run_id in self._client.zrevrange(f"user:{user_id}:runs", keep, -1)][::-1]

    def condemn(self, run_id: str) -> bool:
        """Begin a run's deletion with its log; False where the run is live."""
        with store_errors():
            return bool(self._condemn(keys=[f"run:{run_id}", log_key(run_id), ENDED, COOLING], args=[run_id]))

    def forget(self, run_id: str, run: Run | None) -> None:
        """End a run's deletion: its record and its entries in the indexes go at once."""
        with store_errors():
            pipeline = self._client.pipeline()
            pipeline.delete(f"run:{run_id}")
            if run is not None:
                pipeline.zrem(f"user:{run.user.id}:runs", run_id)
            pipeline.zrem(ENDED, run_id)
            pipeline.execute()

    def unknown(self, run_ids: list[str]) -> list[str]:
        """Those of these runs that have no record."""
        with store_errors():
            pipeline = self._client.pipeline(transaction=False)
            for run_id in run_ids:
                pipeline.exists(f"run:{run_id}")
            return [run_id for run_id, known in zip(run_ids, pipeline.execute(), strict=True) if not known]

    def archive_since(self) -> float:
        """When this store was first asked this: what was archived before may belong to another store."""
        with store_errors():
            self._client.set(SINCE, time.time(), nx=True)
            return float(self._client.get(SINCE))
