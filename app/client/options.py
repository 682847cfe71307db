"""The options that all commands share, and what a command gets of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from app.client import logins
from app.client.command import RUN_ID
from app.client.exits import NOT_FOUND, Failure
from app.client.patience import Patience
from app.client.screen import Screen
from app.client.server import Server

URL_VARIABLE = "FLASK_REALTIME_URL"
TOKEN_VARIABLE = "FLASK_REALTIME_TOKEN"  # noqa: S105 - the variable's name
LAST = "last"
SHORTEST_BEGINNING = 4
NEWEST = 200

url_option = click.option(
    "--url", envvar=URL_VARIABLE, show_envvar=True, metavar="URL", help="The server; else that of the last login."
)
token_option = click.option(
    "--token",
    envvar=TOKEN_VARIABLE,
    show_envvar=True,
    metavar="TOKEN",
    help="A personal access token; else the kept one. Others may read a command line: rather use the variable.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors.")
patience_option = click.option(
    "--patience",
    type=click.FloatRange(0, 31_536_000),
    metavar="SECONDS",
    help="How long to wait for a server that is away; else ten minutes, and not at all before its first answer.",
)


@dataclass(frozen=True)
class Link:
    """What a command speaks by."""

    server: Server
    screen: Screen
    as_json: bool

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """As `Server.call`."""
        return self.server.call(method, path, **options)

    def run_id(self, text: str) -> str:
        """The id of a run: as it is, by its beginning, or that of the last run.

        Raises: Failure; click.UsageError.
        """
        if RUN_ID.fullmatch(text):
            return text
        if text != LAST and not re.fullmatch(rf"[A-Za-z0-9_-]{{{SHORTEST_BEGINNING},21}}", text):
            raise click.UsageError(f"{text[:100]!r} is no run: give its id, four or more characters of it, or `last`.")
        limit = 1 if text == LAST else NEWEST
        ids = [run["id"] for run in self.call("GET", "/runs", query={"limit": limit})["runs"]]
        found = ids if text == LAST else [each for each in ids if each.startswith(text)]
        if not found:
            what = "You have no runs yet." if text == LAST else f"None of your newest {limit} runs begins with {text}."
            raise Failure(what, NOT_FOUND)
        if len(found) > 1:
            raise click.UsageError(f"{len(found)} runs begin with {text}: give more of the id.")
        return str(found[0])


def linked(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with the options that all have; it gets a Link first."""

    @url_option
    @token_option
    @json_option
    @patience_option
    @quiet_option
    @functools.wraps(command)
    def made(
        *args: Any, url: str | None, token: str | None, as_json: bool, patience: float | None, quiet: bool, **rest: Any
    ) -> Any:
        return command(connect(url, token, patience, as_json=as_json, quiet=quiet), *args, **rest)

    return made


def connect(
    url: str | None, token: str | None, patience: float | None, *, as_json: bool = False, quiet: bool = False
) -> Link:
    """A link to the server that is meant.

    Raises: Failure; click.UsageError.
    """
    login = logins.find(url, token)
    screen = Screen(quiet=quiet)
    return Link(Server(login, Patience(login.url, patience, screen.say)), screen, as_json)
