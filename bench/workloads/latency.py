"""A line's own time, from the clock that the job reads just before it prints to the clock of the client that has it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from bench.checks import check, undisturbed
from bench.clients import latencies
from bench.figures import PRODUCT, Aim, Figure, Sheet
from bench.helper import helper
from bench.product import Product
from bench.rivals import Forwarder, Naive
from bench.workloads.lab import Lab, Workload, signal_file

LINES, QUICK_LINES = 500, 100
PAUSE = 0.01
STAMPS = "import time\nfor _ in range({}): print(time.monotonic_ns()); time.sleep({})"
CHILDREN = {
    "endless": "import itertools\nfor i in itertools.count(): print(i)",
    # Not for ever, whatever becomes of who should end it.
    "burn": "import time\nn, end = 0, time.monotonic() + 120\nwhile time.monotonic() < end:\n"
    " for _ in range(1000): n = (n * 31 + 7) % 1_000_003",
}
HELPERS = 4


def _floor(floor: Forwarder | Naive, lines: int) -> list[float]:
    with undisturbed():
        messages = floor.run(STAMPS.format(lines, PAUSE))
    found = [(now - int(line)) / 1e6 for now, text in messages for line in text.split()]
    check(len(found) == lines, f"the floor {floor.name} lost lines")
    return found


def _product(product: Product, lines: int) -> list[float]:
    page = product.page
    with undisturbed():
        run = page.start("stamps", lines=lines, pause=PAUSE)
        page.wait_end(run)
    found = latencies(page.pieces(run))
    check(len(found) == lines, f"{len(found)} lines instead of {lines}")
    return found


@contextlib.contextmanager
def _other(role: str, sheet: Sheet, key: str, who: str, **orders: object) -> Iterator[None]:
    """A helper that keeps another run going; its lines a second are a figure too."""
    with helper(role, **orders) as other:
        other.ready()
        yield
        other.end()
        found = other.result()
        if found["lines"]:
            sheet.put(key, who, found["lines"] / found["seconds"])


@contextlib.contextmanager
def _burning(product: Product) -> Iterator[None]:
    run = product.person.page().start("burn")
    yield
    # A new page: the first one, which nobody has looked at meanwhile, may have missed the server's pings.
    page = product.person.page()
    page.watch(run)
    page.stop(run)
    page.wait_end(run)


def stamped(key: str, beside: str, lab: Lab, sheet: Sheet) -> None:
    """A stamped line every 10 ms, alone or beside another run; at the floor that is another child."""
    lines = lab.size(LINES, QUICK_LINES)
    rate = f"{key}-rate"
    if lab.floors:
        code, port = CHILDREN.get(beside), lab.floors.port
        with _other("floor", sheet, rate, "buffered", port=port, code=code) if code else contextlib.nullcontext():
            sheet.spread(key, "unbuffered", _floor(lab.floors.unbuffered, lines))
        if not beside:
            sheet.spread(key, "naive", _floor(lab.floors.naive, lines))
    with contextlib.ExitStack() as stack:
        product = stack.enter_context(lab.product())
        if beside == "endless":
            where = {"url": product.url, "cookie": product.person.cookie}
            stack.enter_context(_other("flood", sheet, rate, PRODUCT, **where))
        elif beside:
            stack.enter_context(_burning(product))
        sheet.spread(key, PRODUCT, _product(product, lines))


def viewers(lab: Lab, sheet: Sheet) -> None:
    """A stamped line every 10 ms, seen by 100 viewers in four processes."""
    lines, count = lab.size(LINES, QUICK_LINES), lab.size(100, 12)
    with contextlib.ExitStack() as stack:
        signal = stack.enter_context(signal_file())
        # All of them are one person's.
        product = stack.enter_context(lab.product(USER_SOCKETS="1000"))
        run = product.page.start("stamps", lines=lines, pause=PAUSE, signal=str(signal))
        product.page.call("unwatch", {"run": run})
        orders = {"url": product.url, "cookie": product.person.cookie, "run": run, "lines": lines, "seconds": 120}
        helpers = [stack.enter_context(helper("viewers", **orders, count=count // HELPERS)) for _ in range(HELPERS)]
        for each in helpers:
            each.ready()
        signal.touch()
        found = [one for each in helpers for one in each.result()["latencies"]]
    check(len(found) == count, f"{len(found)} viewers instead of {count}")
    check(all(len(one) == lines for one in found), "a viewer lost lines")
    # The first viewer of each line, and all of them.
    sheet.spread("viewers-first", PRODUCT, [min(times) for times in zip(*found, strict=True)])
    sheet.spread("viewers", PRODUCT, [each for one in found for each in one])


def _figures(
    key: str, title: str, p50: float | None, p99: float | None, process: float | None = None
) -> tuple[Figure, ...]:
    """`process`: the aim of p99 for process runs."""
    return (
        Figure(f"{key}.p50", f"{title}: p50", "ms", Aim(p50) if p50 else None, floor="unbuffered"),
        Figure(
            f"{key}.p99",
            f"{title}: p99",
            "ms",
            Aim(p99) if p99 else None,
            floor="unbuffered",
            process=Aim(process) if process else None,
        ),
    )


WORKLOADS = (
    Workload(
        "stamped",
        partial(stamped, "stamped", ""),
        _figures("stamped", "a stamped line every 10 ms", 0.8, 2, process=3),
    ),
    Workload(
        "beside-flood",
        partial(stamped, "beside-flood", "endless"),
        (
            *_figures("beside-flood", "the same beside a flooding run", None, 10),
            Figure("beside-flood-rate", "the flooding run beside it", "lines/s", digits=0),
        ),
    ),
    Workload(
        "beside-burner",
        partial(stamped, "beside-burner", "burn"),
        _figures("beside-burner", "the same beside a pure-Python burner in another run", None, 8, process=5),
    ),
    Workload(
        "viewers",
        viewers,
        (
            *_figures("viewers", "one run, 100 viewers, all of them", 3, 10),
            *_figures("viewers-first", "one run, 100 viewers, each line's first", None, None),
        ),
    ),
)
