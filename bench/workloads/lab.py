"""What a workload gets, and what it is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, Sheet
from bench.product import Product, running
from bench.profile import profiled
from bench.rivals import Floors


@dataclass
class Lab:
    """The floors (None: not now), whether the workloads are small, where a profile of the server goes, whose runs."""

    floors: Floors | None
    quick: bool = False
    profile: Path | None = None
    executor: str = "thread"

    def size(self, usual: int, quick: int) -> int:
        """How many: the usual size, or the one of `--quick`."""
        return quick if self.quick else usual

    @contextmanager
    def product(self, **settings: str) -> Iterator[Product]:
        """A product of its own, so that no workload finds what another one left."""
        with running(BENCH_EXECUTOR=self.executor, **settings) as product, profiled(product, self.profile):
            yield product


@dataclass(frozen=True)
class Workload:
    """`measure` does one round, the floors first; `figures` are the rows that come of it.

    One that takes long is measured `once` in each run, in its first round; one with an `executor` for its runs alone.
    """

    name: str
    measure: Callable[[Lab, Sheet], None]
    figures: tuple[Figure, ...]
    once: bool = False
    executor: str = ""


@contextmanager
def signal_file() -> Iterator[Path]:
    """A file that is not there yet: jobs of the benchmark wait until somebody makes it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder) / "go"
