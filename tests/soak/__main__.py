"""`python -m tests.soak [--minutes 10] [--seed N]`: random faults, the same for the same seed; 1 if it finds any."""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time

from tests.serving import log_in
from tests.soak.faults import torment
from tests.soak.runs import PATIENCE_SECONDS, Visitor
from tests.soak.world import Node, World, running_world

VISITORS = 5
TELL_SECONDS = 30.0
# What a web process may have more than at its beginning, once nobody is there any more.
MORE_THREADS, MORE_FILES, MOST_MEGABYTES = 10, 150, 500
CALM_SECONDS = 60.0


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    print(
        f"Seed {options.seed}, {options.minutes:g} minutes. The same again: make soak SEED={options.seed}", flush=True
    )
    with running_world() as world:
        _soak(world, options.seed, options.minutes * 60)
    print("\n".join(f"{count:>12,}  {what}" for what, count in sorted(world.counts.items())))
    if world.findings:
        print(f"Seed {options.seed}: {len(world.findings)} findings.", *world.findings, sep="\n\n")
        return 1
    print(f"Seed {options.seed}: nothing was lost, doubled, or left behind.")
    return 0


def _soak(world: World, seed: int, seconds: float) -> None:
    person = log_in(world.nodes[0].url)
    before = {node.name: node.vitals() for node in world.nodes}
    visitors = [Visitor(world, person, seed + number) for number in range(1, VISITORS + 1)]
    threads = [threading.Thread(target=each.work, daemon=True) for each in visitors]
    tormentor = threading.Thread(target=torment, args=(world, seed), daemon=True)
    for thread in (*threads, tormentor):
        thread.start()
    while world.now < seconds:
        time.sleep(min(TELL_SECONDS, max(0.1, seconds - world.now)))
        counted = {name: world.counts.get(name, 0) for name in ("runs", "viewers", "connections", "bytes")}
        world.note(", ".join(f"{count:,} {name}" for name, count in counted.items()))
    world.over.set()
    world.note("no more faults; waiting for what is under way")
    tormentor.join(PATIENCE_SECONDS)
    for thread in threads:
        thread.join(2 * PATIENCE_SECONDS)
        if thread.is_alive():
            world.find("somebody still waits for a run")
    for node in world.nodes:
        _check_calm(world, node, before[node.name])


def _check_calm(world: World, node: Node, before: tuple[int, int, int]) -> None:
    """Nothing is left behind in a web process: no thread, no open file, no memory."""
    _, threads, files = before
    deadline = time.monotonic() + CALM_SECONDS
    while True:
        megabytes_now, threads_now, files_now = node.vitals()
        calm = (
            megabytes_now < MOST_MEGABYTES and threads_now <= threads + MORE_THREADS and files_now <= files + MORE_FILES
        )
        if calm or time.monotonic() > deadline:
            break
        time.sleep(1)
    text = f"{node.name}: {megabytes_now} MB, {threads_now} threads ({threads}), {files_now} files ({files})"
    world.note(text)
    if not calm:
        world.find(text)


if __name__ == "__main__":
    sys.exit(main())
