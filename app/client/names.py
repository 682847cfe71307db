"""The client's commands and what each does; nothing is imported here, so that the server's own start stays quick."""

from __future__ import annotations

COMMANDS = {
    "login": "keep a server's address and a token, so that the other commands know them",
    "logout": "forget the token of a server",
    "jobs": "list jobs, or show one with its parameters",
    "run": "start a job, and show its output until it ends",
    "logs": "show a run's output, from any place on",
    "runs": "list your runs, or show one",
    "stop": "stop runs",
    "channels": "list channels, watch them, set some",
    "completion": "print what a shell needs for a short command with completion",
}
