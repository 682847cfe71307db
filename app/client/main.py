"""The client's command line: which command it is, and what it ends with."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from app.client import exits
from app.client.exits import Failure
from app.client.names import COMMANDS

PROGRAM = "python -m app"
# Where a command is, unless in `commands_` and its name.
PLACES = {"logout": "login", "logs": "run", "stop": "runs"}


class Commands(click.Group):
    """The commands, each imported when it is wanted."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, which has a code of its own for output that nobody reads."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise SystemExit(exits.NOBODY_READS) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As click's."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """As click's."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"app.client.commands_{PLACES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, cmd_name)
        return command


commands = Commands(
    "app", help="Start jobs, watch and stop runs.", context_settings={"help_option_names": ["-h", "--help"]}
)


def main(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit code, as docs/cli.md has them."""
    _open_closed()
    # By default Ctrl-C ends the process as it is; commands have something to say then.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = exits.NOBODY_READS
    if code == exits.NOBODY_READS:
        # What Python would write at its end has nobody to go to either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _open_closed() -> None:
    """Give those of stdin, stdout and stderr that are closed nothing to read and nowhere to write."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest that is free: this one.
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _run(arguments: Sequence[str]) -> int:
    try:
        found = commands.main(list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except Failure as error:
        click.echo(f"Error: {error.message}", err=True)
        return error.exits
    except KeyError as error:
        click.echo(
            f"Error: the server's answer has no {error}. It may be of another version than this client.", err=True
        )
        return exits.BROKEN
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("", err=True)
        return exits.DETACHED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    return found if isinstance(found, int) else 0
