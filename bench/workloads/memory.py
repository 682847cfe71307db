"""What much output and those who do not read it cost the web server's memory."""

from __future__ import annotations

from bench.checks import check_numbers
from bench.clients import text_of
from bench.figures import PRODUCT, Aim, Figure, Sheet
from bench.product import Product
from bench.workloads.lab import Lab, Workload, signal_file

LINES, QUICK_LINES = 1_000_000, 50_000
# What the kernel takes for a viewer that reads nothing; more would only hide what the server does.
BUFFER = 4096
IDLE = 20


def _peak(product: Product, lines: int, *, dead: bool = False) -> float:
    """The most megabytes of the web server while a run prints so many lines to a page that reads them."""
    with signal_file() as signal:
        product.reset_peak()
        page = product.page
        run = page.start("flood", lines=lines, signal=str(signal))
        idle = product.person.page(acknowledge=False, buffer=BUFFER) if dead else None
        if idle:
            idle.watch(run)
        signal.touch()
        page.wait_end(run)
        peak = product.memory("VmHWM")
    check_numbers(text_of(page.pieces(run)), lines)
    page.packets.clear()
    if idle:
        idle.wire.cut()
    return peak


def memory(lab: Lab, sheet: Sheet) -> None:
    """A million lines; the same again; the same with a second viewer who never reads."""
    lines = lab.size(LINES, QUICK_LINES)
    with lab.product() as product:
        before = product.memory()
        first = _peak(product, lines)
        again = _peak(product, lines)
        dead = _peak(product, lines, dead=True)
    sheet.put("memory", PRODUCT, first - before)
    sheet.put("memory-dead", PRODUCT, dead - max(first, again))


def idle(lab: Lab, sheet: Sheet) -> None:
    """What a process run costs that does nothing: the proportional shares of all processes, with and without."""
    count = lab.size(IDLE, 4)
    with lab.product() as product:
        before = product.proportional()
        for _ in range(count):
            product.page.start("sleeps")
        product.page.wait(lambda: len(product.page.packets) >= count, "not all runs begin")
        after = product.proportional()
    sheet.put("idle-memory", PRODUCT, (after - before) / count)


WORKLOADS = (
    Workload(
        "memory",
        memory,
        (
            Figure("memory", "server memory for 1,000,000 lines, at most", "MB more", Aim(20), digits=1),
            Figure("memory-dead", "the same with a viewer that never reads", "MB more", Aim(5), digits=1),
        ),
    ),
    Workload(
        "idle-memory",
        idle,
        (Figure("idle-memory", "memory for each process run that sleeps, all processes", "MB", digits=1),),
        executor="process",
    ),
)
