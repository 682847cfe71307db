"""`channels`: live values, listed, watched, set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import msgspec

from app.client import tables
from app.client.command import Command
from app.client.complete import channel_names
from app.client.exits import NOBODY_READS, NOT_FOUND, Failure, clean
from app.client.options import Link, linked
from app.client.params import json_value
from app.client.screen import Gone
from app.client.tables import Row, moment
from app.client.watch import watch

COLUMNS: dict[str, Callable[[Row], str]] = {
    "channel": lambda row: row["channel"],
    "value": lambda row: "" if row.get("type") == "deleted" else msgspec.json.encode(row["value"]).decode(),
    "changed": lambda row: moment(row.get("time")),
}


@click.command(
    cls=Command,
    examples=[
        "python -m app channels",
        "python -m app channels temperature=21.5 state=open",
        "python -m app channels --follow temperature state",
    ],
)
@linked
@click.option("-f", "--follow", "goes_on", is_flag=True, help="Show each change, until Ctrl-C.")
@click.argument("names", nargs=-1, metavar="[NAME | NAME=VALUE]...", shell_complete=channel_names)
def channels(link: Link, *, names: tuple[str, ...], goes_on: bool) -> None:
    """List the channels, or those with these NAMEs; or set them.

    A VALUE is JSON, or else a text; NAME:=JSON is JSON alone. A channel that does not exist is made.
    """
    values = dict(_pair(each) for each in names if "=" in each)
    if values and (goes_on or len(values) < len(names)):
        raise click.UsageError("Either set channels, or look at them.")
    if values:
        found = link.call("PATCH", "/channels", body={"values": values}, again=False)["channels"]
        if link.as_json:
            tables.show(found, COLUMNS, as_json=True)
        return
    found = link.call("GET", "/channels")["channels"]
    missing = set(names) - {each["channel"] for each in found}
    if missing:
        raise Failure(f"There is no channel {', '.join(sorted(missing))}.", NOT_FOUND)
    if goes_on:
        _watch(link, list(names) or [each["channel"] for each in found])
    else:
        tables.show([each for each in found if not names or each["channel"] in names], COLUMNS, as_json=link.as_json)


def _pair(word: str) -> tuple[str, Any]:
    name, _, text = word.partition("=")
    if name.endswith(":"):
        return name[:-1], json_value(name[:-1], text)
    try:
        return name, msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return name, text


def _watch(link: Link, names: list[str]) -> None:
    if not names:
        raise Failure("There are no channels yet.", NOT_FOUND)
    try:
        for record in watch(link.server, names, link.screen):
            if link.as_json:
                tables.line(record)
            else:
                _tell(link, record)
    except Gone:
        raise SystemExit(NOBODY_READS) from None


def _tell(link: Link, record: dict[str, Any]) -> None:
    if record["type"] == "missed":
        link.screen.say("Changes were too many, or too long ago: some are not shown.")
    elif record["type"] == "snapshot":
        for name, value in record["values"].items():
            _show({"channel": name, "value": value})
    else:
        _show(record)


def _show(row: dict[str, Any]) -> None:
    # The time of a change is not the reader's matter; --json has it.
    cells = [COLUMNS["channel"](row), COLUMNS["value"](row)]
    click.echo("\t".join(map(clean, cells)))
