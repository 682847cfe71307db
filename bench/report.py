"""The report: all figures of all rounds as JSON, and the table for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.figures import FLOORS, PRODUCT, Figure, Round, medians, ratio
from bench.machine import machine
from bench.workloads import WORKLOADS

BEGIN, END = "<!-- {} runs -->\n", "<!-- end of {} runs -->\n"
VERDICTS = {True: "yes", False: "**no**", None: ""}


@dataclass
class Report:
    """What was measured: `runs` has a list of rounds for each run."""

    quick: bool = False
    executor: str = "thread"
    rounds: int = 0
    machine: dict[str, object] = field(default_factory=machine)
    times: list[str] = field(default_factory=list)
    runs: list[list[Round]] = field(default_factory=list)

    @property
    def all_rounds(self) -> list[Round]:
        """The rounds of all runs."""
        return [each for run in self.runs for each in run]


def save(report: Report, file: Path) -> None:
    """Write everything as JSON."""
    file.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")


def load(file: Path) -> Report:
    """What `save` wrote."""
    return Report(**json.loads(file.read_text(encoding="utf-8")))


def figures(report: Report) -> list[Figure]:
    """The figures that were measured, in the workloads' order."""
    measured = {key for each in report.all_rounds for key in each}
    return [figure for workload in WORKLOADS.values() for figure in workload.figures if figure.key in measured]


def table(report: Report) -> str:
    """The table: a column for each run, medians of floors and ratio over all rounds, the aim, whether it was met."""
    runs = [f"run {number + 1}" for number in range(len(report.runs))] if len(report.runs) > 1 else [PRODUCT]
    head = ["workload", "unit", *runs, *FLOORS, "ratio", "aim", "met"]
    lines = [_line(head), _line(["---", "---", *["---:"] * (len(runs) + len(FLOORS) + 1), "---", "---"])]
    lines += [_line(_row(report, figure)) for figure in figures(report)]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(report: Report, figure: Figure) -> list[str]:
    each = [medians(run, figure.key) for run in report.runs]
    together = medians(report.all_rounds, figure.key)
    share = ratio(report.all_rounds, figure.key, figure.floor)
    ours = [figure.show(values[PRODUCT]) if PRODUCT in values else "" for values in each]
    floors = [figure.show(together[name]) if name in together else "" for name in FLOORS]
    aim = figure.aim_of(report.executor)
    met = [aim.met(values) for values in each] if aim else []
    verdict = VERDICTS[met[0]] if len(set(met)) == 1 else _some(met)
    return [
        figure.title,
        figure.unit,
        *ours,
        *floors,
        f"{share:.2f}" if share else "",
        aim.text if aim else "",
        verdict,
    ]


def _some(met: list[bool | None]) -> str:
    return f"{met.count(True)} of {len(met)}" if met else ""


def write_table(report: Report, page: Path) -> None:
    """Replace what is between the two marks of `page` for this executor's runs."""
    first, last = BEGIN.format(report.executor), END.format(report.executor)
    before, begin, rest = page.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise SystemExit(f"{page}: there are no lines {first.strip()} and {last.strip()}")
    page.write_text(f"{before}{begin}\n{_where(report)}\n\n{table(report)}\n\n{end}{after}", encoding="utf-8")


def _where(report: Report) -> str:
    place = report.machine
    packages = ", ".join(f"{name} {number}" for name, number in dict(place["packages"]).items())  # type: ignore[call-overload]
    size = " **Small workloads (`--quick`): a try, no figures to keep.**" if report.quick else ""
    return (
        f"{place['processor']}, {place['cores']} cores, {place['memory_gb']} GB, {place['system']}; "
        f"{place['python']}, ASYNC_STACK={place['async_stack']}; {packages}. "
        f"Runs begun at {', '.join(report.times)}; {report.rounds} rounds each.{size}"
    )
