"""What gunicorn serves: `app.wsgi:app`."""

from __future__ import annotations

import logging
import sys

from flask import Flask

from app import capture
from app.config import load_server_settings
from app.errors import ConfigError
from app.factory import create_app

# gunicorn's master starts no worker again after this one.
CANNOT_LOAD = 4


def _log_to_stderr() -> None:
    """Log what the product says, by a handler of its own: the root logger is left to the jobs and their basicConfig."""
    handler = logging.StreamHandler()
    handler.addFilter(_is_for_the_server)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("app")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _is_for_the_server(record: logging.LogRecord) -> bool:
    # In a job's thread the handler writes into the run's output, where only warnings belong.
    return record.levelno >= logging.WARNING or not capture.in_run()


def _load() -> Flask:
    # First of all, so that no handler writes past it into the console what a job logs.
    capture.install()
    _log_to_stderr()
    try:
        return create_app(load_server_settings())
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(CANNOT_LOAD) from None


app = _load()
