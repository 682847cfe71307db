"""The command line: `python -m app` runs the product."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app import __version__
from app.config import load_settings
from app.errors import ConfigError
from app.launcher import launch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 for a wrong option or setting."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description="Python functions as pages with a Start button, live output and a Stop button.",
        epilog="Settings come from the environment and webexintegration.env; docs/settings.md has them all.",
    )
    parser.add_argument("--version", action="version", version=f"Flask-Realtime {__version__}")
    parser.parse_args(arguments)
    try:
        settings = load_settings()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return launch(settings)
