"""What a figure is: a number of the product, of the floors in the same round, and what it should be."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

PRODUCT = "product"
FLOORS = ("buffered", "unbuffered", "naive")
PERCENTILES = (50, 90, 99, 100)

# The numbers of one round: by the figure's key, then by who reached it.
Round = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Aim:
    """At most `most`, or at least `share` of what `floor` reaches."""

    most: float | None = None
    share: float | None = None
    floor: str = "buffered"

    @property
    def text(self) -> str:
        """For people."""
        return f"≥ {self.share:g} of {self.floor}" if self.most is None else f"≤ {self.most:g}"

    def met(self, values: dict[str, float]) -> bool | None:
        """Whether these are good enough; None where that was not measured."""
        if PRODUCT not in values or (self.most is None and self.floor not in values):
            return None
        if self.most is not None:
            return values[PRODUCT] <= self.most
        return values[PRODUCT] >= (self.share or 0) * values[self.floor]


@dataclass(frozen=True)
class Figure:
    """One row of the table; `digits` after the point; `floor` is the one of the ratio.

    `process` is the aim for process runs, where it is another one than for thread runs.
    """

    key: str
    title: str
    unit: str
    aim: Aim | None = None
    floor: str = "buffered"
    digits: int = 2
    process: Aim | None = None

    def aim_of(self, executor: str) -> Aim | None:
        """The aim for runs of this executor."""
        return (self.process if executor == "process" else None) or self.aim

    def show(self, value: float) -> str:
        """A value as text."""
        return f"{value:,.{self.digits}f}"


@dataclass
class Sheet:
    """Where a workload writes what it measured in this round."""

    values: Round = field(default_factory=dict)

    def put(self, key: str, who: str, value: float) -> None:
        """Note a number."""
        self.values.setdefault(key, {})[who] = round(value, 4)

    def spread(self, key: str, who: str, values: Sequence[float]) -> None:
        """Note the percentiles of many numbers, as `key.p50` and so on."""
        for share in PERCENTILES:
            self.put(f"{key}.p{share}", who, percentile(values, share))


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of `values` that is not below `share` percent of them."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, min(len(ordered) - 1, -int(-len(ordered) * share // 100) - 1))]


def medians(rounds: Iterable[Round], key: str) -> dict[str, float]:
    """The medians over rounds, by who."""
    found: dict[str, list[float]] = {}
    for each in rounds:
        for who, value in each.get(key, {}).items():
            found.setdefault(who, []).append(value)
    return {who: statistics.median(values) for who, values in found.items()}


def ratio(rounds: Iterable[Round], key: str, floor: str) -> float | None:
    """The median of the product's share of `floor`, each round by itself; None where that was not measured."""
    shares = [
        values[PRODUCT] / values[floor]
        for values in (each.get(key, {}) for each in rounds)
        if PRODUCT in values and values.get(floor)
    ]
    return statistics.median(shares) if shares else None
