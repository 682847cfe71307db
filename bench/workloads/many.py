"""Many runs at one time."""

from __future__ import annotations

from bench.checks import check, undisturbed
from bench.clients import latencies, wait_for
from bench.figures import PRODUCT, Aim, Figure, Sheet
from bench.workloads.lab import Lab, Workload, signal_file

RUNS, QUICK_RUNS = 50, 10
# A socket watches 32 runs at most.
PAGES = 2
LINES, QUICK_LINES = 500, 100
PAUSE = 0.01


def runs(lab: Lab, sheet: Sheet) -> None:
    """50 runs print a stamped line every 10 ms, all at one time; two pages watch them."""
    lines, count = lab.size(LINES, QUICK_LINES), lab.size(RUNS, QUICK_RUNS)
    with signal_file() as signal, lab.product() as product, undisturbed():
        pages = [product.person.page() for _ in range(PAGES)]
        watched = {
            pages[number % PAGES].start("stamps", lines=lines, pause=PAUSE, signal=str(signal)): pages[number % PAGES]
            for number in range(count)
        }
        signal.touch()
        wait_for(pages, lambda: all(run in page.ended for run, page in watched.items()), "a run does not end", 120)
    found = []
    for run, page in watched.items():
        times = latencies(page.pieces(run))
        check(len(times) == lines, f"{len(times)} lines instead of {lines}")
        found += times
    sheet.spread("runs", PRODUCT, found)


WORKLOADS = (
    Workload(
        "runs",
        runs,
        (
            Figure("runs.p50", "50 runs, 100 lines/s each, none lost: p50", "ms"),
            Figure("runs.p99", "50 runs, 100 lines/s each, none lost: p99", "ms", Aim(10)),
        ),
    ),
)
