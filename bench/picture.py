"""The picture: bars of throughput beside the floors, and a strip of latencies; plain SVG, for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from pathlib import Path

from bench.figures import FLOORS, PRODUCT, Figure, medians
from bench.report import Report, figures

WIDTH, LEFT, RIGHT = 960, 390, 115
SPAN = WIDTH - LEFT - RIGHT
BAR, GAP, ROW = 13, 3, 34
# Milliseconds at both ends of the strip, whose scale is logarithmic.
FAST, SLOW = 0.1, 200.0
TICKS = (0.1, 1, 10, 100)
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #57606a; }
.title { font-weight: 600; font-size: 15px; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.product { fill: #2f81f7; } .buffered { fill: #8c959f; } .unbuffered { fill: #afb8c1; } .naive { fill: #d4a72c; }
.axis { stroke: #8c959f66; } .aim { stroke: #cf222e; stroke-width: 2; }
@media (prefers-color-scheme: dark) { text { fill: #9da7b3; } .aim { stroke: #ff7b72; } }
"""


def write_picture(report: Report, file: Path) -> None:
    """Write the picture of a report."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(picture(report), encoding="utf-8")


def picture(report: Report) -> str:
    """The picture as SVG: medians over all rounds."""
    found = figures(report)
    parts = list(_legend())
    y = 52
    for part, chosen in (
        (_throughput, [each for each in found if each.unit == "lines/s"]),
        (_latency, [each for each in found if each.key.endswith(".p99") and each.unit == "ms"]),
    ):
        if chosen:
            lines, y = part(report, chosen, y)
            parts += lines
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="Benchmark results">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _legend() -> Iterable[str]:
    x = LEFT
    for name in (PRODUCT, *FLOORS):
        yield f'<rect class="{name}" x="{x}" y="12" width="{BAR}" height="{BAR}"/>'
        yield _text(x + BAR + 5, 23, name)
        x += 110
    yield f'<line class="aim" x1="{x}" x2="{x}" y1="12" y2="25"/>'
    yield _text(x + 7, 23, "aim")


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _label(title: str) -> str:
    return title.removesuffix(": p99").removesuffix(", p99").replace("`", "")


def _bar(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{max(1.0, width):.1f}" height="{height:.1f}"/>'


def _throughput(report: Report, chosen: list[Figure], y: int) -> tuple[list[str], int]:
    """Lines a second, on one scale for all."""
    measured = {figure: medians(report.all_rounds, figure.key) for figure in chosen}
    most = max(value for values in measured.values() for value in values.values())
    lines = [_text(0, y, "Throughput, lines/s (longer is better)", "title")]
    y += 14
    for figure, values in measured.items():
        lines.append(_text(LEFT - 10, y + BAR - 2, _label(figure.title), "end"))
        for name in [each for each in (PRODUCT, *FLOORS) if each in values]:
            width = SPAN * values[name] / most
            lines += [_bar(name, LEFT, y, width, BAR), _text(LEFT + width + 6, y + BAR - 2, figure.show(values[name]))]
            if name == figure.floor and figure.aim and figure.aim.share:
                at = LEFT + width * figure.aim.share
                top = y - BAR - GAP if PRODUCT in values else y
                lines.append(f'<line class="aim" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{y}"/>')
            y += BAR + GAP
        y += 10
    return lines, y + 20


def _place(milliseconds: float) -> float:
    share = math.log(max(FAST, min(SLOW, milliseconds)) / FAST) / math.log(SLOW / FAST)
    return LEFT + SPAN * share


def _latency(report: Report, chosen: list[Figure], y: int) -> tuple[list[str], int]:
    """From p50 to p99 a bar, to the slowest a line."""
    title = "Latency, ms (further left is better): bar from p50 to p99, line to the slowest"
    lines = [_text(0, y, title, "title")]
    top = y + 14
    y = top + 14
    for figure in chosen:
        base = figure.key.removesuffix(".p99")
        shares = {share: medians(report.all_rounds, f"{base}.{share}") for share in ("p50", "p99", "p100")}
        lines.append(_text(LEFT - 10, y + BAR - 2, _label(figure.title), "end"))
        names = [name for name in (PRODUCT, figure.floor) if all(name in values for values in shares.values())]
        for name, height in zip(names, (BAR, 6), strict=False):
            at = y if name == PRODUCT else y + BAR + 2
            begin, end, last = (_place(values[name]) for values in shares.values())
            middle = at + height / 2
            lines.append(f'<line class="axis" x1="{end:.1f}" x2="{last:.1f}" y1="{middle}" y2="{middle}"/>')
            lines.append(_bar(name, begin, at, end - begin, height))
            if name == PRODUCT:
                both = f"{shares['p50'][name]:.2f} / {shares['p99'][name]:.2f}"
                lines.append(_text(WIDTH - RIGHT + 10, at + BAR - 2, both))
        if figure.aim and figure.aim.most:
            at_x = _place(figure.aim.most)
            lines.append(f'<line class="aim" x1="{at_x:.1f}" x2="{at_x:.1f}" y1="{y - 2}" y2="{y + BAR + 2}"/>')
        y += ROW
    for tick in TICKS:
        x = _place(tick)
        lines.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{y}"/>')
        lines.append(_text(x, y + 16, f"{tick:g}", "middle"))
    return lines, y + 30
