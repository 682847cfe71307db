"""1 GB of output with the page open: does the server stay a server?"""

from __future__ import annotations

import hashlib
import threading
import time

from bench.checks import check
from bench.figures import PRODUCT, Aim, Figure, Sheet
from bench.helper import helper
from bench.product import Product
from bench.workloads.lab import Lab, Workload

BYTES, QUICK_BYTES = 1_000_000_000, 100_000_000
WIDTH = 99
POLL_SECONDS = 0.1
# More than is printed, so that nothing is left out and all of it can be checked.
SETTINGS = {"RUN_MEGABYTES": "4096"}


class Visitor(threading.Thread):
    """Somebody who asks for the console's first page ten times a second, and looks at the store's memory."""

    def __init__(self, product: Product) -> None:
        super().__init__(daemon=True)
        self._product = product
        self._ended = threading.Event()
        self.milliseconds: list[float] = []
        self.store = 0.0
        self.failed: Exception | None = None

    def run(self) -> None:
        """Ask until ended."""
        try:
            while not self._ended.wait(POLL_SECONDS):
                began = time.monotonic_ns()
                self._product.person.http.get(self._product.url, timeout=60).raise_for_status()
                self.milliseconds.append((time.monotonic_ns() - began) / 1e6)
                self.store = max(self.store, self._product.store_memory())
        except Exception as error:  # noqa: BLE001 - told by the one who measures
            self.failed = error

    def end(self) -> None:
        """Ask no more.

        Raises: Wrong where asking failed.
        """
        self._ended.set()
        self.join(60)
        check(self.failed is None, f"the page does not answer: {self.failed}")


def _digest(lines: int) -> str:
    digest = hashlib.sha256()
    for first in range(0, lines, 100_000):
        numbers = range(first, min(lines, first + 100_000))
        digest.update("".join([f"{number:0{WIDTH}d}\n" for number in numbers]).encode())
    return digest.hexdigest()


def huge(lab: Lab, sheet: Sheet) -> None:
    """A run floods until a viewer has had 1 GB of it; then Stop is pressed, in the middle of the flood."""
    size = lab.size(BYTES, QUICK_BYTES)
    with lab.product(**SETTINGS) as product:
        before, store = product.memory(), product.store_memory()
        product.reset_peak()
        visitor = Visitor(product)
        run = product.page.start("endless", width=WIDTH)
        product.page.call("unwatch", {"run": run})
        began = time.monotonic()
        with helper("reader", url=product.url, cookie=product.person.cookie, run=run, bytes=size) as reader:
            visitor.start()
            reader.ready()
            seconds = time.monotonic() - began
            # A new page: the first one, which nobody has looked at for so long, has missed the server's pings.
            page = product.person.page()
            pressed, pressed_ns = time.time(), time.monotonic_ns()
            page.stop(run)
            found = reader.result()
        visitor.end()
        peak = product.memory("VmHWM")
    lines = found["bytes"] // (WIDTH + 1)
    check(found["digest"] == _digest(lines), f"what came is not the lines 0 to {lines - 1}")
    check(found["run"]["position"] == found["bytes"], "the run has more output than came")
    sheet.put("huge-rate", PRODUCT, size / seconds / 1e6)
    sheet.spread("huge-page", PRODUCT, visitor.milliseconds)
    sheet.put("huge-memory", PRODUCT, peak - before)
    sheet.put("huge-store", PRODUCT, visitor.store - store)
    sheet.put("huge-stop", PRODUCT, (found["run"]["ended"] - pressed) * 1000)
    sheet.put("huge-seen", PRODUCT, (found["ended"] - pressed_ns) / 1e6)


WORKLOADS = (
    Workload(
        "huge",
        huge,
        (
            Figure("huge-rate", "1 GB of output with the page open: to the viewer", "MB/s", digits=1),
            Figure("huge-page.p99", "1 GB: the page answers, p99", "ms", digits=1),
            Figure("huge-page.p100", "1 GB: the page answers, slowest", "ms", Aim(100), digits=1),
            Figure("huge-memory", "1 GB: server memory, at most", "MB more", digits=1),
            Figure("huge-store", "1 GB: store memory, at most", "MB more", digits=1),
            Figure("huge-stop", "1 GB: Stop to ended, in the flood", "ms", Aim(1000), digits=0),
            Figure("huge-seen", "1 GB: Stop to the end on the page that is open", "ms", digits=0),
        ),
        once=True,
    ),
)
