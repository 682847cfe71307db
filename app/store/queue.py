"""Who waits for a turn: queues that are fair between users, whoever takes from them, and who may run how many.

A run is claimed once: in one step it leaves its queue, gets an epoch of its own and a lease, and counts for its job and
its user until its end. Raises StoreUnavailable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.model import Run, new_id
from app.store.connection import store_errors
from app.store.fields import run_of
from app.store.queue_scripts import ABSENT, PRESENT, TAKE, TAKERS, TIDY, TURNS

LEASE_SECONDS = 15.0
# A taker says each few seconds that it is up.
PRESENT_SECONDS = 15.0
CLAIM_SECONDS = 3600
TIDY_SECONDS = 20.0
# A wait for the bell has to end before the connection gives the store up.
SHARE_OF_TIMEOUT = 0.5


@dataclass(frozen=True, slots=True)
class Turn:
    """How a run waits: its place in the queue from 1, how many `takers` are up, and what it waits for.

    `reason`: "job" where the job, "user" where the user has as many runs as may be, "takers" where nobody is up who
    could run it, else "".
    """

    place: int
    takers: int
    reason: str


class Queue:
    """What Runs knows of queues; a queue is `thread:<node>`, `process` or `celery:<name>`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._changed: Callable[[str], object] = lambda _run_id: None
        self._take = client.register_script(TAKE)
        self._present, self._absent = client.register_script(PRESENT), client.register_script(ABSENT)
        self._takers, self._turns = client.register_script(TAKERS), client.register_script(TURNS)
        self._tidy = client.register_script(TIDY)
        # Claims whose answers did not come: asked again, they answer the same run, unless that has ended meanwhile.
        self._unanswered: dict[str, list[str]] = {}

    def on_change(self, function: Callable[[str], object]) -> None:
        """Have `function` called with the id of each run that this process changes, as soon as that is stored."""
        self._changed = function

    def _told(self, run_id: str, done: int) -> bool:
        if done:
            self._changed(run_id)
        return bool(done)

    def take(self, queue: str, node: str) -> Run | None:
        """Claim the first run in order whose job and user have room; None where none may begin.

        Whoever asks has a free slot for it, and runs it from here on. After StoreUnavailable ask again: a claim whose
        answer was lost is answered then.
        """
        waiting = self._unanswered.setdefault(queue, [])
        claim = waiting.pop() if waiting else new_id()
        try:
            return self._claim(queue, node, claim, anew=True)
        except BaseException:
            waiting.append(claim)
            raise

    def unanswered(self, queue: str, node: str) -> list[Run]:
        """The runs that this node has claimed without hearing of it, since answers were lost; it claims no other."""
        waiting, found = self._unanswered.get(queue, []), list[Run]()
        while waiting:
            run = self._claim(queue, node, waiting[-1], anew=False)
            waiting.pop()
            found += [run] if run is not None else []
        return found

    def _claim(self, queue: str, node: str, claim: str, *, anew: bool) -> Run | None:
        times = [int(LEASE_SECONDS * 1000), CLAIM_SECONDS, time.time()]
        with store_errors():
            found = self._take(keys=[], args=[queue, node, claim, *times, int(anew)])
        if not found:
            return None
        run_id, values = found[0].decode(), found[1]
        self._changed(run_id)
        return run_of(run_id, dict(zip(values[::2], values[1::2], strict=True)))

    def bell(self, queue: str, seconds: float) -> bool:
        """Wait until something may be there to take, for at most so many seconds; True where the bell rang.

        It holds a connection meanwhile. Takers look each second all the same: what makes room elsewhere may not ring.
        """
        timeout = self._client.connection_pool.connection_kwargs.get("socket_timeout")
        most = seconds if timeout is None else min(seconds, timeout * SHARE_OF_TIMEOUT)
        with store_errors():
            return self._client.blpop([f"bell:{queue}"], timeout=most) is not None

    def present(self, queue: str, node: str, note: str = "") -> None:
        """Say that this node takes from the queue, for 15 s; `note` is for whoever asks for takers."""
        with store_errors():
            self._present(keys=[], args=[queue, node, note, int(PRESENT_SECONDS * 1000)])

    def absent(self, queue: str, node: str) -> None:
        """Say that this node takes from the queue no more."""
        with store_errors():
            self._absent(keys=[], args=[queue, node])

    def takers(self, queue: str) -> dict[str, str]:
        """The nodes that take from the queue now, with their notes."""
        with store_errors():
            found = [each.decode() for each in self._takers(keys=[], args=[queue])]
        return dict(zip(found[::2], found[1::2], strict=True))

    def turns(self, run_ids: Sequence[str]) -> dict[str, Turn]:
        """How these runs wait; those that do not wait are left out."""
        with store_errors():
            found = self._turns(keys=[], args=list(run_ids)) if run_ids else []
        turns = zip(run_ids, found, strict=True)
        return {run_id: Turn(turn[0], turn[1], turn[2].decode()) for run_id, turn in turns if turn}

    def position_of(self, run: Run) -> int | None:
        """The run's place in its queue, from 1; None where it does not wait."""
        with store_errors():
            place: int | None = self._client.zrank(f"queue:{run.queue}", run.id)
        return None if place is None else place + 1

    def queues(self) -> list[str]:
        """The queues where a run waits now."""
        with store_errors():
            return sorted(name.decode() for name in self._client.smembers("queues"))

    def waiting(self, queue: str, limit: int) -> list[str]:
        """The ids of the first `limit` runs that wait in a queue, in order."""
        with store_errors():
            return [run_id.decode() for run_id in self._client.zrange(f"queue:{queue}", 0, limit - 1)]

    def tidy(self) -> int:
        """Free the slots and places of runs that have ended or are no more, which should be none; answers how many.

        Asked by all nodes, one at a time does it.
        """
        with store_errors():
            return int(self._tidy(keys=[], args=[int(TIDY_SECONDS * 1000)]))
