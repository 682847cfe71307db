"""Run the benchmark: `python -m bench`; docs/performance.md tells what it measures."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from bench.checks import Wrong
from bench.figures import PRODUCT, Round, Sheet
from bench.picture import write_picture
from bench.profile import profiler
from bench.report import Report, load, save, write_table
from bench.rivals import floors
from bench.workloads import WORKLOADS, Lab, Workload


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", help=f"some workloads, by commas, of: {', '.join(WORKLOADS)}")
    parser.add_argument("--executor", choices=("thread", "process"), default="thread", help="whose runs (thread)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each run; their median counts (default: 3)")
    parser.add_argument(
        "--runs", type=int, default=1, help="runs, one after the other; each has its column (default: 1)"
    )
    parser.add_argument("--quick", action="store_true", help="small workloads: a try, no figures to keep")
    parser.add_argument("--without-floors", action="store_true", help="the product alone")
    parser.add_argument("--json", type=Path, help="file for all figures of all rounds")
    parser.add_argument("--table-of", type=Path, help="measure nothing: take the figures of a file that --json wrote")
    parser.add_argument("--write", type=Path, help="page whose table and picture are replaced: docs/performance.md")
    parser.add_argument(
        "--profile", type=Path, help="file for a profile of the web server by py-spy: .svg, .json, .txt"
    )
    return parser


def _chosen(names: str, executor: str) -> list[Workload]:
    all_of_them = [name for name, workload in WORKLOADS.items() if workload.executor in ("", executor)]
    chosen = [name.strip() for name in names.split(",") if name.strip()] or all_of_them
    unknown = [name for name in chosen if name not in WORKLOADS]
    if unknown:
        raise SystemExit(f"There is no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}.")
    return [WORKLOADS[name] for name in chosen]


def measure(workloads: Iterable[Workload], lab: Lab, rounds: int) -> list[Round]:
    """So many rounds, each of every workload; a line for each figure as soon as it is there."""
    found: list[Round] = []
    for number in range(1, rounds + 1):
        values: Round = {}
        for workload in workloads:
            if workload.once and number > 1:
                continue
            sheet = Sheet()
            workload.measure(lab, sheet)
            values.update(sheet.values)
            _show(workload, sheet, f"{number}/{rounds}")
        found.append(values)
    return found


def _show(workload: Workload, sheet: Sheet, which: str) -> None:
    for figure in workload.figures:
        values = dict(sheet.values.get(figure.key, {}))
        ours = figure.show(values.pop(PRODUCT)) if PRODUCT in values else "-"
        others = "".join(f", {who} {figure.show(value)}" for who, value in values.items())
        print(f"{which} {workload.name}: {figure.title}: {ours} {figure.unit}{others}", flush=True)


def main() -> int:
    """Measure, show, write; the exit code: 1 where the product or a floor did not do what it should."""
    options = _parser().parse_args()
    # Whoever ends the benchmark ends what it has started.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    workloads = _chosen(options.only, options.executor)
    if options.table_of:
        report = load(options.table_of)
    else:
        report = Report(quick=options.quick, executor=options.executor, rounds=options.rounds)
        if options.quick:
            print("Small workloads: a try, whose titles say more than is done.")
        try:
            if options.profile:
                profiler()
            _run(report, workloads, options)
        except (Wrong, ConnectionError) as error:
            sys.stderr.write(f"WRONG: {error}\n")
            return 1
    if options.write:
        write_table(report, options.write)
        if report.executor == "thread":
            write_picture(report, options.write.parent / "images" / "performance.svg")
    return 0


def _run(report: Report, workloads: list[Workload], options: argparse.Namespace) -> None:
    for _ in range(options.runs):
        report.times.append(time.strftime("%Y-%m-%d %H:%M:%S"))
        with contextlib.nullcontext() if options.without_floors else floors() as running:
            report.runs.append(
                measure(workloads, Lab(running, options.quick, options.profile, options.executor), options.rounds)
            )
        if options.json:
            # After each run: what is cut off later is not lost.
            save(report, options.json)


if __name__ == "__main__":
    sys.exit(main())
