"""Start, Stop, a viewer that is cut off, a page that is loaded again: how long until it goes on."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

from bench.checks import check, check_numbers, undisturbed
from bench.clients import Page, Piece, text_of
from bench.figures import PRODUCT, Aim, Figure, Sheet
from bench.product import Product
from bench.workloads.lab import Lab, Workload

STARTS, STOPS, CUTS = 50, 20, 5
TICKS, TICK_PAUSE = 5000, 0.002
CUT_SECONDS = 1.0
POLL_SECONDS = 0.05


def starts(lab: Lab, sheet: Sheet) -> None:
    """From Start to the first line, again and again on one page, one run after the other."""
    found = []
    with lab.product() as product, undisturbed():
        page = product.page
        for _ in range(lab.size(STARTS, 10)):
            page.packets.clear()
            began = time.monotonic_ns()
            run = page.start("hello")
            page.wait_end(run)
            pieces = page.pieces(run)
            check(text_of(pieces) == "hello\n", f"not what the job prints: {text_of(pieces)!r}")
            found.append((pieces[0].time - began) / 1e6)
    sheet.spread("start", PRODUCT, found)


def stops(lab: Lab, sheet: Sheet) -> None:
    """From Stop to the final status; the job looks every 50 ms and prints when it saw the Stop."""
    whole, ours = [], []
    count = lab.size(STOPS, 5)
    with lab.product() as product, undisturbed():
        page = product.page
        for number in range(count):
            run = page.start("waits", pause=POLL_SECONDS)
            page.wait(lambda: bool(page.packets), "the run does not begin")
            # Stop at all moments between two of the job's looks.
            time.sleep(POLL_SECONDS * (1 + number / count))
            began = time.monotonic_ns()
            page.emit("stop_request", {"run": run})
            check(page.wait_end(run)["status"] == "stopped", "the run ended otherwise")
            ended = page.ended[run][0]
            saw = int(text_of(page.pieces(run)).split()[-1])
            whole.append((ended - began) / 1e6)
            ours.append((ended - saw) / 1e6)
            page.packets.clear()
    sheet.spread("stop", PRODUCT, whole)
    sheet.spread("stop-after", PRODUCT, ours)


def sleepers(lab: Lab, sheet: Sheet) -> None:
    """From Stop to the final status of a process run that sleeps."""
    found = []
    with lab.product() as product, undisturbed():
        page = product.page
        for _ in range(lab.size(STOPS, 5)):
            run = page.start("sleeps")
            page.wait(lambda: bool(page.packets), "the run does not begin")
            # Well asleep.
            time.sleep(POLL_SECONDS)
            began = time.monotonic_ns()
            page.emit("stop_request", {"run": run})
            check(page.wait_end(run)["status"] == "stopped", "the run ended otherwise")
            found.append((page.ended[run][0] - began) / 1e6)
            page.packets.clear()
    sheet.spread("stop-sleep", PRODUCT, found)


def _came_back(product: Product, run: str, after: int) -> tuple[Page, float]:
    """A new connection that goes on at `after`; milliseconds from its being there to the first output."""
    page = product.person.page()
    page.watch(run, after)
    page.wait(lambda: bool(page.packets), "nothing comes after the connection is back")
    return page, (page.packets[0][0] - page.connected) / 1e6


def cuts(lab: Lab, sheet: Sheet) -> None:
    """Numbered lines every 2 ms; the viewer is cut off for a second again and again, then loads its page again."""
    count = lab.size(CUTS, 1)
    cut, loaded = [], []
    seen: list[Piece] = []
    with lab.product() as product:
        page = product.page
        run = page.start("ticks", pause=TICK_PAUSE)
        for _ in range(count):
            page.wait(_after(0.5), "", seconds=5)
            seen += _pieces(page, run, seen)
            page.wire.cut()
            time.sleep(CUT_SECONDS)
            page, milliseconds = _came_back(product, run, seen[-1].position)
            cut.append(milliseconds)
        for _ in range(count):
            other, milliseconds = _came_back(product, run, 0)
            loaded.append(milliseconds)
            check(text_of(other.pieces(run)).startswith("0\n1\n"), "a page that is loaded again lacks the beginning")
            other.close()
        page.stop(run)
        page.wait_end(run)
        seen += _pieces(page, run, seen)
        again, _ = _came_back(product, run, 0)
        again.wait_end(run)
        whole = text_of(again.pieces(run))
    lines = text_of(seen).split()
    numbers = Counter(map(int, lines))
    check_numbers(whole, whole.count("\n"), what="the page that was loaded again")
    sheet.put("cut-lost", PRODUCT, whole.count("\n") - len(numbers))
    sheet.put("cut-repeated", PRODUCT, len(lines) - len(numbers))
    sheet.spread("cut", PRODUCT, cut)
    sheet.spread("reload", PRODUCT, loaded)
    check_numbers(text_of(seen), whole.count("\n"), what="what the viewer saw that was cut off")


def _pieces(page: Page, run: str, seen: list[Piece]) -> list[Piece]:
    return page.pieces(run, seen[-1].position if seen else 0)


def _after(seconds: float) -> partial[bool]:
    deadline = time.monotonic() + seconds
    return partial(lambda: time.monotonic() > deadline)


WORKLOADS = (
    Workload(
        "start",
        starts,
        (
            Figure("start.p50", "Start to first line: p50", "ms", Aim(5), process=Aim(25)),
            Figure("start.p99", "Start to first line: p99", "ms"),
        ),
    ),
    Workload(
        "stop",
        stops,
        (
            Figure("stop.p50", "Stop to ended, a loop that sleeps 50 ms: p50", "ms"),
            Figure("stop.p100", "Stop to ended, a loop that sleeps 50 ms: slowest", "ms"),
            Figure("stop-after.p50", "of it after the job saw the Stop: p50", "ms", Aim(5)),
        ),
    ),
    Workload(
        "stop-sleep",
        sleepers,
        (
            Figure("stop-sleep.p50", "Stop to ended, a job that sleeps: p50", "ms", Aim(5)),
            Figure("stop-sleep.p99", "Stop to ended, a job that sleeps: p99", "ms"),
        ),
        executor="process",
    ),
    Workload(
        "cut",
        cuts,
        (
            Figure("cut-lost", "viewer cut for 1 s: lines lost", "", Aim(0), digits=0),
            Figure("cut-repeated", "viewer cut for 1 s: lines repeated", "", Aim(0), digits=0),
            Figure("cut.p100", "viewer cut for 1 s: first bytes after reconnecting, slowest", "ms", Aim(10)),
            Figure("reload.p100", "page loaded again: first bytes after connecting, slowest", "ms", Aim(10)),
        ),
    ),
)
