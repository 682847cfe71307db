"""Run the benchmark: `python -m bench`; it prints a table and writes it to `docs/performance.md` with `--write`."""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import websockets

from bench.product import Client, free_port, running

LINES = 1_000_000
FLOOD = "def flood():\n for i in range({}): print({})\nflood()"
FLOODS = {
    "1,000,000 short lines": (FLOOD.format(LINES, "i"), {"lines": LINES}),
    "1,000,000 lines of 80 characters": (FLOOD.format(LINES, "f'{i:079d}'"), {"lines": LINES, "width": 79}),
}
STAMPS = "import time\nfor _ in range(500): print(time.monotonic_ns(), flush=True); time.sleep(0.01)"


@dataclass
class Row:
    """One figure: of the product, of the floor in the same round, and their ratio."""

    name: str
    product: str
    floor: str
    ratio: str


def _floor_text(port: int, code: str) -> tuple[float, str, list[float]]:
    """Seconds, text and latencies (ms) of a child's output through the floor."""

    async def run() -> tuple[float, str, list[float]]:
        async with websockets.connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None) as socket:
            began, parts, latencies = time.perf_counter(), [], []
            await socket.send(code)
            while (data := await socket.recv()) != "end":
                now = time.monotonic_ns()
                parts.append(str(data))
                if len(data) < 200:
                    latencies += [(now - int(line)) / 1e6 for line in str(data).split()]
            return time.perf_counter() - began, "".join(parts), latencies

    return asyncio.run(run())


def _product_text(client: Client, job: str, **params: object) -> tuple[float, str, list[float]]:
    """The same through the product: login, log in Redis, Socket.IO and acknowledgements included."""
    began, parts, latencies = time.perf_counter(), [], []
    run = client.start(job, **params)
    seconds = 0.0
    for event, message in client.events(run):
        now = time.monotonic_ns()
        if event == "output":
            parts.append(message["data"])
            seconds = time.perf_counter() - began
            if job == "stamps":
                latencies += [(now - int(line)) / 1e6 for line in message["data"].split()]
        elif message["ended"]:
            assert message["status"] == "succeeded", message
    return seconds, "".join(parts), latencies


def _flood(client: Client, port: int, name: str, rounds: int) -> Row:
    code, params = FLOODS[name]
    ours, floors = [], []
    for _ in range(rounds):
        floor_seconds, floor_text, _ = _floor_text(port, code)
        seconds, text, _ = _product_text(client, "flood", **params)
        assert text == floor_text, "the product's output differs from the child's"
        ours.append(LINES / seconds)
        floors.append(LINES / floor_seconds)
    ratio = statistics.median(a / b for a, b in zip(ours, floors, strict=True))
    return Row(f"{name}, lines/s", _number(ours), _number(floors), f"{ratio:.2f}")


def _threads(client: Client, port: int, rounds: int) -> Row:
    code, _ = FLOODS["1,000,000 short lines"]
    ours, floors = [], []
    for _ in range(rounds):
        floor_seconds, _, _ = _floor_text(port, code)
        seconds, text, _ = _product_text(client, "flood", lines=LINES, threads=4)
        assert sorted(map(int, text.split())) == list(range(LINES)), "a line was broken or lost"
        ours.append(LINES / seconds)
        floors.append(LINES / floor_seconds)
    ratio = statistics.median(a / b for a, b in zip(ours, floors, strict=True))
    return Row("1,000,000 short lines from four threads, lines/s", _number(ours), _number(floors), f"{ratio:.2f}")


def _latency(client: Client, port: int, name: str, beside: str = "", **params: object) -> Row:
    _, _, floor = _floor_text(port, STAMPS)
    other = client.start(beside, **params) if beside else ""
    _, _, ours = _product_text(client, "stamps")
    if other:
        client.send("stop_request", {"run": other})
        for _ in client.events(other):
            pass
    assert len(ours) == len(floor) == 500
    return Row(name, _times(ours), _times(floor), f"{statistics.median(ours) / statistics.median(floor):.1f}")


def _number(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f}"


def _times(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.2f} / {ordered[int(len(ordered) * 0.99)]:.2f}"


def measure(rounds: int, show: Callable[[Row], None]) -> list[Row]:
    """All figures, each shown as soon as it is there."""
    port = free_port()
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        show(row)

    with (
        subprocess.Popen([sys.executable, "-m", "bench.floor", str(port)], stdout=subprocess.PIPE) as floor,
        running() as client,
    ):
        assert floor.stdout is not None
        floor.stdout.readline()
        try:
            before = client.server_memory()
            for name in FLOODS:
                add(_flood(client, port, name, rounds))
            add(_threads(client, port, rounds))
            grown = (client.server_memory() - before) / 1e6
            add(Row("server memory after these, MB more", f"{grown:.0f}", "", ""))
            add(_latency(client, port, "a line every 10 ms, p50 / p99 ms"))
            add(_latency(client, port, "the same beside a pure-Python burner, p50 / p99 ms", "burn"))
        finally:
            floor.terminate()
    return rows


def _table(rows: list[Row]) -> str:
    lines = ["| workload | product | floor | ratio |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {row.name} | {row.product} | {row.floor} | {row.ratio} |" for row in rows])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each flood (the median counts)")
    parser.add_argument("--write", type=Path, help="file whose table is replaced, such as docs/performance.md")
    options = parser.parse_args()
    rows = measure(options.rounds, lambda row: print(f"{row.name}: {row.product} | {row.floor} | {row.ratio}"))
    table = f"Python {platform.python_version()}, {platform.machine()}\n\n{_table(rows)}\n"
    if options.write:
        head, mark, _ = options.write.read_text().partition("<!-- figures -->\n")
        options.write.write_text(f"{head}{mark}{table}")


if __name__ == "__main__":
    main()
