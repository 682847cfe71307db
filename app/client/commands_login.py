"""`login` and `logout`: the server and the token that the other commands use."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click

from app.client import logins, tables
from app.client.command import Command
from app.client.exits import clean
from app.client.logins import DEFAULT_URL, Login, is_local
from app.client.options import json_option, patience_option, quiet_option, token_option, url_option
from app.client.patience import Patience
from app.client.screen import Screen
from app.client.server import Server

MOST_CHARACTERS = 1000


@click.command(
    cls=Command,
    examples=[
        "python -m app login",
        "python -m app login --url https://jobs.example.com",
        "pass show jobs-token | python -m app login --url https://jobs.example.com",
    ],
)
@url_option
@token_option
@patience_option
@json_option
@quiet_option
def login(url: str | None, token: str | None, patience: float | None, as_json: bool, quiet: bool) -> None:
    """Keep a server's address and a token of it, which is tried first.

    What is not given is asked for; in a pipe the token is a line of stdin. The token is made on the server's page
    /tokens. It is kept in a file that only you may read, and is sent to this server alone. The other commands then use
    this server.
    """
    here = sys.stdin.isatty()
    if not url:
        known = logins.read()["current"] or DEFAULT_URL
        url = click.prompt("Server", default=known, err=True) if here else known
    place = logins.address(url)
    if not token and here:
        click.echo(f"Make a token at {place}{logins.TOKENS_PAGE} and paste it here; it is not shown.", err=True)
        token = click.prompt("Token", hide_input=True, err=True)
    token = logins.checked(token or sys.stdin.readline(MOST_CHARACTERS))
    if urlsplit(place).scheme == "http" and not is_local(place):
        click.echo(f"Careful: whoever is on the way to {place} can read the token. Rather use https.", err=True)
    screen = Screen(quiet=quiet)
    me = Server(Login(place, token), Patience(place, patience, screen.say)).call("GET", "/me")
    logins.keep(Login(place, token))
    if as_json:
        tables.line({"url": place, **me})
    elif not quiet:
        scopes = ", ".join(me["scopes"] or [])
        click.echo(clean(f"{place}: you are {me['user']}. The token {me['token']!r} is good for: {scopes}."))


@click.command(
    cls=Command,
    examples=[
        "python -m app logout",
    ],
)
@url_option
@json_option
@quiet_option
def logout(url: str | None, as_json: bool, quiet: bool) -> None:
    """Forget the token of a server.

    The token itself stays good until it ends, or is revoked on the server's page /tokens.
    """
    place = logins.address(url) if url else logins.read()["current"]
    found = bool(place) and logins.forget(place)
    if as_json:
        tables.line({"url": place or None, "forgotten": found})
    elif not quiet:
        text = f"The token of {place} is forgotten. To revoke it too: {place}{logins.TOKENS_PAGE}"
        click.echo(text if found else "There was no token to forget.")
