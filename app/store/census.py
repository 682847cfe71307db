"""How many there are: runs that happen and that wait, runners, workers and web servers that are up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from app.store.connection import store_errors
from app.store.queue_scripts import CENSUS

# A web server says each few seconds that it is up.
NODE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Numbers:
    """The system in numbers: nobody's names are in them.

    `queues`: how many runs wait in each queue where any does; the queues of threads, one a node, are `thread` together.
    """

    running: int = 0
    waiting: int = 0
    runners: int = 0
    workers: int = 0
    nodes: int = 0
    queues: dict[str, int] = field(default_factory=dict)


class Census:
    """Counts in one call, whose cost grows with queues, nodes and active jobs, not with what waits."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._count = client.register_script(CENSUS)

    def count(self, node: str) -> Numbers:
        """The numbers now; also says that this web server is up, for 15 s.

        Raises: StoreUnavailable.
        """
        with store_errors():
            counts, queues = self._count(keys=[], args=[node, int(NODE_SECONDS * 1000)])
        lengths: Counter[str] = Counter()
        for name, length in zip(queues[::2], queues[1::2], strict=True):
            queue = name.decode()
            lengths["thread" if queue.startswith("thread:") else queue] += length
        running, runners, workers, nodes = counts
        return Numbers(running, lengths.total(), runners, workers, nodes, dict(sorted(lengths.items())))

    def leave(self, node: str) -> None:
        """Say that this web server is up no more.

        Raises: StoreUnavailable.
        """
        with store_errors():
            self._client.zrem("nodes", node)
