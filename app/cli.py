"""The command line: `python -m app` runs the product, or a part of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app import __version__
from app.client.names import COMMANDS
from app.config import load_server_settings, load_settings
from app.errors import ConfigError
from app.keys import make_keys
from app.launcher import launch, serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 for a wrong option or setting."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description="Python functions as pages with a Start button, live output and a Stop button.",
        epilog="Settings come from the environment and webexintegration.env; docs/settings.md has them all.",
    )
    parser.add_argument("--version", action="version", version=f"Flask-Realtime {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands.add_parser("web", help="the web server alone, with the store and the login that the settings name")
    runner = commands.add_parser("runner", help="the runner alone, which runs jobs in processes of their own")
    runner.add_argument("--ready", metavar="FD", type=int, help="a descriptor that it closes once it can run jobs")
    runner.add_argument("--alive", metavar="FILE", type=Path, help="a file that it touches every few seconds")
    worker = commands.add_parser("worker", help="a Celery worker, which runs jobs with executor=celery")
    worker.add_argument("--queues", default="default", help="the queues that it takes runs from (default)")
    worker.add_argument("--runs", metavar="N", type=int, help="how many runs at one time (WORKER_RUNS)")
    worker.add_argument("--alive", metavar="FILE", type=Path, help="a file that it touches every few seconds")
    keys = commands.add_parser("keys", help="make the keys that are missing, and a password for a Redis, in KEY_DIR")
    keys.add_argument("--group", metavar="GROUP", help="as root: let this group read them, besides the folder's owner")
    for name, text in COMMANDS.items():
        # app/client has them; here they are for the list of --help.
        commands.add_parser(name, help=text)
    options = parser.parse_args(arguments)
    try:
        if options.command == "keys":
            make_keys(load_settings(), options.group)
            return 0
        if options.command == "runner":
            from app.runner import run_runner

            return run_runner(load_server_settings(), options.ready, options.alive)
        if options.command == "worker":
            from app.worker import work

            changes = {} if options.runs is None else {"worker_runs": options.runs}
            return work(load_server_settings(**changes), options.queues, options.alive)
        if options.command == "web":
            serve(load_server_settings())
        return launch(load_settings())
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
