"""What a shell offers at the Tab key: commands, options, and names from the server, if it answers at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import click
import requests
from click.shell_completion import CompletionItem

from app.client import logins
from app.client.exits import Failure, clean
from app.client.options import LAST
from app.client.params import kind_of
from app.client.server import decoded, proxies_of, token_of

SECONDS = 1.0
# What a shell's script takes as it is; others are not offered.
_SAFE = re.compile(r"[\w.:=+/@-]+")
MOST = 50


def job_names(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of jobs."""
    jobs = _asked(ctx, "/jobs").get("jobs", [])
    return _items((job["name"], job["title"]) for job in jobs if job["name"].startswith(begun))


def run_ids(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Ids of the newest runs, and the word for the last of them."""
    runs = _asked(ctx, f"/runs?limit={MOST}").get("runs", [])
    found = [(run["id"], f"{run['job']} {run['status']}") for run in runs]
    return _items((name, about) for name, about in [*found, (LAST, "the newest")] if name.startswith(begun))


def job_and_parameters(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of jobs, then of the job's parameters, each with what it takes; choices behind the equals sign."""
    job = ctx.params.get("job")
    if param.name == "job" or not job:
        return job_names(ctx, param, begun)
    properties = _asked(ctx, f"/jobs/{quote(str(job), safe='')}").get("parameters", {}).get("properties", {})
    name, equals, value = begun.partition("=")
    if equals:
        choices = [str(each).lower() for each in properties.get(name, {}).get("enum", [])]
        return _items((f"{name}={each}", "") for each in choices if each.startswith(value))
    return _items((f"{each}=", kind_of(what)) for each, what in properties.items() if each.startswith(begun))


def channel_names(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of channels."""
    channels = _asked(ctx, "/channels").get("channels", [])
    return _items((each["channel"], "") for each in channels if each["channel"].startswith(begun))


def _items(found: Iterable[tuple[str, str]]) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=clean(about).replace("\n", " ") or None)
        for name, about in found
        if _SAFE.fullmatch(name)
    ]


def _asked(ctx: click.Context, path: str) -> dict[str, Any]:
    """What the server says, or nothing: Tab waits for nobody, and complains of nothing."""
    try:
        login = logins.find(ctx.params.get("url"), ctx.params.get("token"))
        answer = requests.get(
            f"{login.url}{logins.API}{path}",
            auth=token_of(login),
            timeout=SECONDS,
            proxies=proxies_of(login),
            allow_redirects=False,
        )
        found = decoded(answer.content) if answer.ok else {}
    except (Failure, click.ClickException, requests.RequestException):
        return {}
    return found
