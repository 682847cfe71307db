"""`jobs`: what there is to start."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click
import msgspec

from app.client import tables
from app.client.command import Command
from app.client.complete import job_names
from app.client.exits import NOT_FOUND, Failure, clean
from app.client.options import Link, linked
from app.client.params import kind_of

LONGEST_DEFAULT = 60


@click.command(
    cls=Command,
    examples=[
        "python -m app jobs",
        "python -m app jobs count",
        "python -m app jobs count --json | jq .parameters",
    ],
)
@linked
@click.argument("name", required=False, shell_complete=job_names)
def jobs(link: Link, name: str | None) -> None:
    """List the jobs; with a NAME show that job, with its parameters."""
    if name is None:
        found = link.call("GET", "/jobs")["jobs"]
        columns = {
            "job": lambda job: job["name"],
            "title": lambda job: job["title"],
            "runs in": lambda job: job["executor"],
            "about": lambda job: f"broken: {job['error']}" if job["error"] else job["summary"],
        }
        tables.show(found, columns, as_json=link.as_json)
        return
    job = one_job(link, name)
    if link.as_json:
        tables.line(job)
    else:
        _show(job)


def one_job(link: Link, name: str) -> dict[str, Any]:
    """A job by its name.

    Raises: Failure.
    """
    try:
        return link.call("GET", f"/jobs/{quote(name, safe='')}")
    except Failure as failure:
        if failure.code != "not_found":
            raise
        raise Failure(f"There is no such job as {name[:100]!r}. What there is: python -m app jobs", NOT_FOUND) from None


def _show(job: dict[str, Any]) -> None:
    click.echo(clean(f"{job['name']}: {job['title']} ({job['executor']})"))
    for text in (job["error"] and f"Broken: {job['error']}", job["summary"], job["help"]):
        if text:
            click.echo(clean(text))
    schema = job["parameters"]
    rows = [
        {"name": name, "needed": name in schema.get("required", []), **described}
        for name, described in schema.get("properties", {}).items()
    ]
    if rows:
        click.echo()
    columns = {
        "parameter": lambda row: row["name"],
        "takes": lambda row: ", ".join([kind_of(row), *_bounds(row)]),
        "default": lambda row: "needed" if row["needed"] else _default(row.get("default")),
        "about": lambda row: row.get("description", ""),
    }
    tables.show(rows, columns, as_json=False)


def _bounds(described: dict[str, Any]) -> list[str]:
    words = {
        "minimum": "from",
        "maximum": "to",
        "exclusiveMinimum": "above",
        "exclusiveMaximum": "below",
        "maxLength": "at most characters:",
        "pattern": "like",
    }
    return [f"{word} {described[name]}" for name, word in words.items() if name in described]


def _default(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    short = text if len(text) <= LONGEST_DEFAULT else f"{text[:LONGEST_DEFAULT]}..."
    return short.replace("\n", "\\n")
