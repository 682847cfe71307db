"""`python -m simulator`: the stand-in as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from simulator.knobs import Knobs
from simulator.server import serve

LAST_PORT = 65_535


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text[:9]) <= LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a number from 0 to {LAST_PORT} (got {text!r})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A local stand-in for Webex.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8001, help="port; 0: a free one (default: %(default)s)")
    parser.add_argument("--control", action="store_true", help="open /_control, which shows every token: for tests")
    parser.add_argument("--state", type=Path, help="file that keeps logins over a restart; none: they are forgotten")
    for name, field in Knobs.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        # %% because argparse formats its help texts.
        text = f"{field.description} (default: {field.default!r})".replace("%", "%%")
        if field.annotation is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            parser.add_argument(option, help=text)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stand-in; the process's exit code: 2 for a wrong option, 1 for an address that cannot be had."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    host, port, control, state = (options.pop(name) for name in ("host", "port", "control", "state"))
    try:
        knobs = Knobs(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        parser.error(f"argument --{str(first['loc'][0]).replace('_', '-')}: {first['msg']} (got {first['input']!r})")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(knobs, host, port, control=control, state_file=state))
    except OSError as error:
        sys.stderr.write(f"The Webex stand-in cannot listen on {host}:{port}: {error.strerror or error}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
