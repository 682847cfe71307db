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
BURN = "n = 0\nwhile True: n = (n * 31 + 7) % 1_000_003"
ENDLESS = "import itertools\nfor i in itertools.count(): print(i)"
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
def _beside_at_floor(beside: str, port: int) -> Iterator[None]:
    """Another child at the same forwarder."""
    if not beside:
        yield
        return
    with helper("floor", port=port, code=ENDLESS if beside == "endless" else BURN) as other:
        other.ready()
        yield
        other.end()
        other.result()


@contextlib.contextmanager
def _beside(beside: str, product: Product) -> Iterator[None]:
    """Another run of the same server, in another of its threads."""
    if beside == "endless":
        with helper("flood", url=product.url, cookie=product.person.cookie) as other:
            other.ready()
            yield
            other.end()
            other.result()
    elif beside:
        page = product.person.page()
        run = page.start(beside)
        yield
        page.stop(run)
        page.wait_end(run)
    else:
        yield


def stamped(key: str, beside: str, lab: Lab, sheet: Sheet) -> None:
    """A stamped line every 10 ms, alone or beside another run."""
    lines = lab.size(LINES, QUICK_LINES)
    if lab.floors:
        with _beside_at_floor(beside, lab.floors.port):
            sheet.spread(key, "unbuffered", _floor(lab.floors.unbuffered, lines))
        if not beside:
            sheet.spread(key, "naive", _floor(lab.floors.naive, lines))
    with lab.product() as product, _beside(beside, product):
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


def _figures(key: str, title: str, p50: float | None, p99: float | None) -> tuple[Figure, ...]:
    aims = {"p50": p50, "p99": p99}
    return tuple(
        Figure(f"{key}.{share}", f"{title}: {share}", "ms", Aim(most) if most else None, floor="unbuffered")
        for share, most in aims.items()
    )


WORKLOADS = (
    Workload(
        "stamped",
        partial(stamped, "stamped", ""),
        _figures("stamped", "a stamped line every 10 ms", 0.8, 2),
    ),
    Workload(
        "beside-flood",
        partial(stamped, "beside-flood", "endless"),
        _figures("beside-flood", "the same beside a flooding run", None, 10),
    ),
    Workload(
        "beside-burner",
        partial(stamped, "beside-burner", "burn"),
        _figures("beside-burner", "the same beside a pure-Python burner in another thread", None, 8),
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
