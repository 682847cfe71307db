"""`python -m app`."""

from __future__ import annotations

import signal
import sys


def run() -> int:
    """Run the command line; returns the exit code."""
    # Until there is something to end in order, Ctrl-C ends the process at once, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from app.client.names import COMMANDS

    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        # Nothing of the server is imported for a command that asks one.
        from app.client.main import main as ask

        return ask(sys.argv[1:])
    from app.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
