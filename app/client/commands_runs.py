"""`runs` and `stop`: which runs there are, and their end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from app.client import exits, tables
from app.client.command import RunCommand
from app.client.complete import job_names, run_ids
from app.client.options import NEWEST, Link, linked
from app.client.tables import Row, lasted, moment

STATUSES = ("queued", "running", "stopping", "succeeded", "failed", "stopped", "killed", "timed out", "lost")
POLL_SECONDS = 0.5
COLUMNS: dict[str, Callable[[Row], str]] = {
    "id": lambda run: run["id"],
    "job": lambda run: run["job"],
    "status": lambda run: run["status"],
    "created": lambda run: moment(run["created"]),
    "took": lasted,
    "bytes": lambda run: str(run["position"]),
    "about": lambda run: "waits for input" if run["asks"] is not None else run["message"] or run["signal"],
}


@click.command(
    cls=RunCommand,
    examples=[
        "python -m app runs --job count --status running --status queued",
        "python -m app runs --all --json | jq -r .id",
        "python -m app runs last",
    ],
)
@linked
@click.option("--job", metavar="NAME", shell_complete=job_names, help="Runs of this job alone.")
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Runs with this status; may be given again.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, metavar="RUNS", help="Most of them (20).")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.argument("run", required=False, shell_complete=run_ids)
def runs(
    link: Link, *, run: str | None, job: str | None, status: tuple[str, ...], limit: int, everything: bool
) -> None:
    """List your runs, newest first; with a RUN show that one."""
    if run is not None:
        _show(link, link.call("GET", f"/runs/{link.run_id(run)}"))
        return
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"status": list(status), **({"job": job} if job else {})}
    while everything or len(found) < limit:
        query["limit"] = NEWEST if everything else min(limit - len(found), NEWEST)
        page = link.call("GET", "/runs", query=query)
        found += page["runs"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    tables.show(found, COLUMNS, as_json=link.as_json)


@click.command(
    cls=RunCommand,
    examples=[
        "python -m app stop last",
        "python -m app stop --kill --wait last",
    ],
)
@linked
@click.option("--kill", is_flag=True, help="End them at once; a thread cannot be killed.")
@click.option("-w", "--wait", is_flag=True, help="Wait until they have ended.")
@click.argument("run", nargs=-1, required=True, shell_complete=run_ids)
def stop(link: Link, run: tuple[str, ...], kill: bool, wait: bool) -> None:
    """Ask runs to stop; one that has ended stays as it is."""
    for each in [link.run_id(each) for each in run]:
        told = link.call("POST", f"/runs/{each}/{'kill' if kill else 'stop'}")
        while wait and told["ended"] is None:
            time.sleep(POLL_SECONDS)
            told = link.call("GET", f"/runs/{each}")
        if link.as_json:
            tables.line(told)
        elif not link.screen.quiet:
            click.echo(exits.clean(f"{told['id']} {told['status']}"))


def _show(link: Link, run: dict[str, Any]) -> None:
    if link.as_json:
        tables.line(run)
        return
    told = {
        **run,
        **{name: moment(run[name]) for name in ("created", "started", "ended")},
        "progress": "{:g} of {:g}".format(*run["progress"]) if run["progress"] else "",
        "params": " ".join(f"{name}={value!r}" for name, value in run["params"].items()),
        "stage": (run["stage"] or {}).get("name", ""),
    }
    rows = [{"name": name, "value": str(value)} for name, value in told.items() if value not in (None, "")]
    tables.show(rows, {"": lambda row: row["name"], " ": lambda row: row["value"]}, as_json=False)
