"""Lists for people and programs: a table on a terminal, values between tabs in a pipe, JSON where asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from app.client.exits import clean, inert

COLOURS = {
    "queued": "yellow",
    "running": "cyan",
    "stopping": "yellow",
    "succeeded": "green",
    "failed": "red",
    "killed": "red",
    "timed out": "red",
    "lost": "red",
}
MINUTE, HOUR = 60, 3600
Row = Mapping[str, Any]


def show(rows: Iterable[Row], columns: Mapping[str, Callable[[Row], str]], *, as_json: bool) -> None:
    """Print rows: each as a line of JSON, or the `columns` of each, by their heads."""
    if as_json:
        for row in rows:
            line(row)
        return
    cells = [[clean(make(row)).replace("\n", " ") for make in columns.values()] for row in rows]
    if sys.stdout.isatty():
        _table(list(columns), cells)
        return
    for each in cells:
        click.echo("\t".join(each))


def line(value: Any) -> None:
    """Print a JSON object as a line."""
    click.echo(inert(msgspec.json.encode(value)))


def moment(seconds: float | None) -> str:
    """A time as people here have it."""
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def lasted(run: Row) -> str:
    """How long a run took, or takes already."""
    if run["started"] is None:
        return ""
    seconds = max((run["ended"] or time.time()) - run["started"], 0)
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    return (
        f"{whole // HOUR}:{whole % HOUR // MINUTE:02}:{whole % MINUTE:02}"
        if whole >= HOUR
        else (f"{whole // MINUTE}:{whole % MINUTE:02}")
    )


def _table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    # Not before it is needed: completion and pipes are quicker without.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(map(str.strip, heads)))
    for head in heads:
        # An id that is cut is none.
        table.add_column(head.upper(), no_wrap=head == "id", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)
