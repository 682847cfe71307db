"""`completion`: a short command with completion for a shell."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from app.client.command import Command

ROOT = Path(__file__).parents[2]
NAME = "frt"
VARIABLE = "_FLASK_REALTIME_COMPLETE"
HEADS: dict[str, tuple[type[ShellComplete], str]] = {
    "bash": (BashComplete, '{name}() {{ PYTHONPATH={root} {python} -P -m app "$@"; }}\n'),
    "zsh": (ZshComplete, '{name}() {{ PYTHONPATH={root} {python} -P -m app "$@"; }}\n'),
    "fish": (FishComplete, "function {name}; PYTHONPATH={root} {python} -P -m app $argv; end\n"),
}


@click.command(
    cls=Command,
    examples=[
        'eval "$(python -m app completion bash)"         # in ~/.bashrc',
        'eval "$(python -m app completion zsh)"          # in ~/.zshrc, behind compinit',
        "python -m app completion fish | source          # in ~/.config/fish/config.fish",
    ],
)
@click.option("--name", default=NAME, metavar="NAME", help=f"What the short command is called ({NAME}).")
@click.option("--answer", hidden=True, help="What the script asks, as it is made by this command.")
@click.argument("shell", type=click.Choice(list(HEADS)))
@click.pass_context
def completion(ctx: click.Context, shell: str, name: str, answer: str | None) -> None:
    """Print what a SHELL needs for a short command that completes at the Tab key.

    The command is `python -m app` from any folder. Names of jobs, parameters, runs and channels are asked from the
    server, and are left out where it does not answer within a second.
    """
    root = ctx.find_root()
    if answer is not None:
        click.echo(HEADS[shell][0](root.command, {}, name, VARIABLE).complete())
        return
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        raise click.UsageError(f"{name[:100]!r} is no name for a command.")
    kind, head = HEADS[shell]
    words = {"name": name, "root": shlex.quote(str(ROOT)), "python": shlex.quote(sys.executable)}
    click.echo(head.format(**words) + _script(kind(root.command, {}, name, VARIABLE).source(), shell, words))


def _script(script: str, shell: str, words: dict[str, str]) -> str:
    """Click's script, which asks a program of the PATH by a variable, made to ask this Python by an option."""
    asks = "PYTHONPATH={root} {python} -P -m app completion {shell} --name {name} --answer words"
    asked = asks.format(**words, shell=shell)
    name = re.escape(words["name"])
    if shell == "fish":
        script = script.replace(f"env {VARIABLE}=fish_complete", "env")
        return re.sub(rf" {name}\);", lambda _: f" {asked});", script, count=1)
    # A function is no command of zsh's table.
    script = re.sub(r"^ *\(\( ! \$\+commands\[.*\n", "", script, flags=re.MULTILINE)
    return re.sub(rf"{VARIABLE}={shell}_complete (?:\$1|{name})\)", lambda _: f"{asked})", script, count=1)
