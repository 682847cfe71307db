"""`python -m app`."""

from __future__ import annotations

import signal
import sys


def run() -> int:
    """Run the command line; returns the exit code."""
    # Until there is something to end in order, Ctrl-C ends the process at once, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from app.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
