"""As fast as it can: from Start, or the word to go, to the last line's coming."""

from __future__ import annotations

import time
from functools import partial

from bench.checks import check, check_numbers, check_shuffled, undisturbed
from bench.clients import Page, text_of
from bench.figures import PRODUCT, Aim, Figure, Sheet
from bench.rivals import Forwarder, Naive
from bench.workloads.lab import Lab, Workload

LINES = 1_000_000
QUICK_LINES = 50_000
# One event for each line takes a minute for a million; what it does in a second is the same all along.
NAIVE_LINES = 20_000
FLOOD = "def flood():\n for i in range({}): print({})\nflood()"


def _floor(floor: Forwarder | Naive, lines: int, width: int) -> float:
    with undisturbed():
        messages = floor.run(FLOOD.format(lines, f"f'{{i:0{width}d}}'" if width else "i"))
    check_numbers("".join(text for _, text in messages), lines, width, f"the floor {floor.name}")
    return lines / (messages[-1][0] - floor.began) * 1e9


def _product(page: Page, lines: int, width: int, threads: int = 1, job: str = "flood") -> float:
    with undisturbed():
        began = time.monotonic_ns()
        run = page.start(job, lines=lines, width=width, threads=threads)
        status = page.wait_end(run)
    pieces = page.pieces(run)
    if threads == 1:
        check_numbers(text_of(pieces), lines, width)
    else:
        check_shuffled(text_of(pieces), lines)
    check(status["status"] == "succeeded", str(status))
    return lines / (pieces[-1].time - began) * 1e9


def flood(key: str, width: int, lab: Lab, sheet: Sheet, threads: int = 1) -> None:
    """Numbered lines, of `width` characters, from so many threads of the product's run; the floors' child has one."""
    lines = lab.size(LINES, QUICK_LINES)
    if lab.floors:
        for floor in (lab.floors.buffered, lab.floors.unbuffered):
            sheet.put(key, floor.name, _floor(floor, lines, width))
        sheet.put(key, "naive", _floor(lab.floors.naive, min(lines, NAIVE_LINES), width))
    with lab.product() as product:
        sheet.put(key, PRODUCT, _product(product.page, lines, width, threads))


def masked(lab: Lab, sheet: Sheet) -> None:
    """The same with ten secrets declared; the login's tokens are masked in any run."""
    lines = lab.size(LINES, QUICK_LINES)
    with lab.product() as product:
        plain = _product(product.page, lines, 0)
        masking = _product(product.page, lines, 0, job="flood_masked")
    sheet.put("masked", PRODUCT, masking)
    sheet.put("masked-cost", PRODUCT, 100 * (plain / masking - 1))


def deflated(lab: Lab, sheet: Sheet) -> None:
    """The same for a client that offers compression, as browsers do, where the setting allows it."""
    lines = lab.size(LINES, QUICK_LINES)
    with lab.product(COMPRESSION="on") as product:
        plain = _product(product.page, lines, 0)
        page = product.person.page(deflate=True)
        deflating = _product(page, lines, 0)
        output = sum(len(packet) for _, packet in page.packets)
        check(page.wire.inflated >= output, f"of {output} bytes {page.wire.inflated} came compressed")
        page.close()
    sheet.put("deflated", PRODUCT, deflating)
    sheet.put("deflated-cost", PRODUCT, 100 * (plain / deflating - 1))


def _figure(key: str, title: str, aim: Aim | None = None) -> tuple[Figure, ...]:
    return (Figure(key, title, "lines/s", aim, digits=0),)


WORKLOADS = (
    Workload(
        "short",
        partial(flood, "short", 0),
        _figure("short", "1,000,000 lines `%d`, Start to last line", Aim(share=0.8)),
    ),
    Workload("long", partial(flood, "long", 79), _figure("long", "1,000,000 lines of 80 characters", Aim(share=0.7))),
    Workload(
        "threads",
        partial(flood, "threads", 0, threads=4),
        _figure("threads", "1,000,000 lines from four threads of one run", Aim(share=0.4)),
    ),
    Workload(
        "masked",
        masked,
        (
            *_figure("masked", "1,000,000 lines `%d`, ten secrets declared"),
            Figure("masked-cost", "more time than without, in the same round", "%", digits=0),
        ),
    ),
    Workload(
        "deflated",
        deflated,
        (
            *_figure("deflated", "1,000,000 lines `%d`, client that offers compression"),
            Figure("deflated-cost", "more time than for one that does not, in the same round", "%", digits=0),
        ),
    ),
)
