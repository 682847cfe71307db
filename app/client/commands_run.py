"""`run` and `logs`: the output of a run, from its start or from any place on."""

from __future__ import annotations

import secrets
from typing import Any

import click

from app.client import exits, tables
from app.client.command import Command, RunCommand
from app.client.commands_jobs import one_job
from app.client.complete import job_and_parameters, run_ids
from app.client.exits import AWAY, BUSY, DENIED, Detached, Failure
from app.client.follow import ASK, DETACH, STOP, Follower, interrupted_at
from app.client.options import Link, linked
from app.client.params import parse
from app.client.screen import Gone

# What ends the following, and has nothing to do with the run.
GOES_ON = (AWAY, BUSY, DENIED)
interrupt_option = click.option(
    "--on-interrupt",
    type=click.Choice([ASK, STOP, DETACH]),
    default=ASK,
    help="What Ctrl-C does. ask (in a terminal; elsewhere it detaches), stop the run, or detach: the run goes on.",
)
input_option = click.option(
    "--no-input", is_flag=True, help="Leave what the run asks for to others: do not read stdin."
)


@click.command(
    cls=Command,
    examples=[
        "python -m app run count steps=5 pause=0.1",
        "python -m app run code source=@script.py",
        'python -m app run report names=Ann names=Bob \'options:=["a","b"]\' > report.txt',
        "python -m app run --detach count steps=1000",
    ],
)
@linked
@click.option("-d", "--detach", is_flag=True, help="Print the run's id and leave it going.")
@interrupt_option
@input_option
@click.option("--key", metavar="KEY", help="The same KEY again, within a day, is the same run; else one is made up.")
@click.argument("job", shell_complete=job_and_parameters)
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...", shell_complete=job_and_parameters)
def run(
    link: Link,
    *,
    job: str,
    parameters: tuple[str, ...],
    detach: bool,
    on_interrupt: str,
    no_input: bool,
    key: str | None,
) -> None:
    """Start a JOB, show its output until it ends, and exit with its code.

    What the run prints to stdout and stderr comes out there, byte for byte. Values are read as the job's parameters
    want them: numbers, true or false, a choice; a list by giving its name several times, or as JSON. NAME=@FILE is the
    text of a file (- is stdin, @@ a text that begins with @), NAME:=JSON is taken as it stands.
    """
    values = parse(job, one_job(link, job)["parameters"], parameters)
    headers = {"Idempotency-Key": key or secrets.token_urlsafe(16)}
    try:
        started = link.call("POST", "/runs", body={"job": job, "params": values}, headers=headers)
    except KeyboardInterrupt:
        link.screen.tell("It is not known whether the run has been started: python -m app runs")
        raise
    if detach:
        tables.line(started) if link.as_json else click.echo(started["id"])
        return
    link.screen.say(f"Run {started['id']}")
    follow_run(link, started["id"], {"after": 0}, interrupt=on_interrupt, answers=not no_input)


@click.command(
    cls=RunCommand,
    examples=[
        "python -m app logs last",
        "python -m app logs -f --tail 20 last",
        "python -m app logs --stream err last 2> errors.txt",
        "python -m app logs --json last | jq -r 'select(.type == \"output\").time'",
    ],
)
@linked
@click.option("-f", "--follow", "goes_on", is_flag=True, help="Go on until the run ends, and exit as it does.")
@click.option("-n", "--tail", type=click.IntRange(0), metavar="LINES", help="Begin with the last so many lines.")
@click.option("--after", type=click.IntRange(0), metavar="BYTE", help="Begin behind this byte.")
@click.option("--line", type=click.IntRange(1), metavar="NUMBER", help="Begin with this line.")
@click.option("--time", type=float, metavar="SECONDS", help="Begin with what came then, in seconds since 1970.")
@click.option("--stream", type=click.Choice(["all", "out", "err"]), default="all", help="One of the two outputs alone.")
@interrupt_option
@input_option
@click.argument("run", shell_complete=run_ids)
def logs(
    link: Link,
    *,
    run: str,
    goes_on: bool,
    stream: str,
    on_interrupt: str,
    no_input: bool,
    **place: float | None,
) -> None:
    """Show the output of a RUN: what there is, or with -f all until it ends.

    RUN is an id, four or more characters of its beginning, or the word last.
    """
    wanted = {name: value for name, value in place.items() if value is not None}
    if len(wanted) > 1:
        raise click.UsageError(f"A place to begin at is one of them: {', '.join(f'--{name}' for name in wanted)}.")
    interrupt = DETACH if on_interrupt == ASK else on_interrupt
    follow_run(
        link,
        link.run_id(run),
        wanted or {"after": 0},
        stream=stream,
        goes_on=goes_on,
        interrupt=interrupt,
        answers=goes_on and not no_input,
    )


def follow_run(
    link: Link,
    run: str,
    place: dict[str, Any],
    *,
    stream: str = "all",
    goes_on: bool = True,
    interrupt: str,
    answers: bool,
) -> None:
    """Follow a run, and exit as it did.

    Raises: Failure; SystemExit.
    """
    follower = Follower(
        link.server, run, link.screen, as_json=link.as_json, interrupt=interrupt, answers=answers and goes_on
    )
    try:
        ended = follower.follow(place, stream=stream, follow=goes_on)
    except (Detached, KeyboardInterrupt):
        if goes_on:
            link.screen.say(interrupted_at(run, follower.position))
        raise SystemExit(exits.DETACHED) from None
    except Failure as error:
        if error.exits in GOES_ON and goes_on:
            link.screen.say(interrupted_at(run, follower.position))
        raise
    except Gone:
        if interrupt == STOP:
            link.call("POST", f"/runs/{run}/stop")
        raise SystemExit(exits.NOBODY_READS) from None
    if goes_on and ended is not None:
        raise SystemExit(exits.of_run(ended))
