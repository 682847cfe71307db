"""Commands with examples in their help, and those about runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

RUN_ID = re.compile(r"[A-Za-z0-9_-]{22}")


class Command(click.Command):
    """A command; `examples` are lines that its help shows as they stand."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click's, with the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"  {line}\n")
        super().format_epilog(ctx, formatter)


class RunCommand(Command):
    """A command about runs, whose ids may begin with a dash."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, which takes what begins with a dash for an option."""
        head, dashes, tail = _parted(args)
        ids = [each for each in head if each.startswith("-") and RUN_ID.fullmatch(each)]
        rest = [each for each in head if each not in ids]
        return super().parse_args(ctx, [*rest, "--", *ids, *tail] if ids or dashes else rest)


def _parted(args: list[str]) -> tuple[list[str], list[str], list[str]]:
    """What stands before two dashes, those, and what is behind."""
    where = args.index("--") if "--" in args else len(args)
    return args[:where], args[where : where + 1], args[where + 1 :]
