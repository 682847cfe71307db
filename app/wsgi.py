"""What gunicorn serves: `app.wsgi:app`."""

from __future__ import annotations

import sys

from flask import Flask

from app import capture, garbage, logs
from app.config import load_server_settings
from app.errors import ConfigError
from app.factory import create_app
from app.logstream import Background

# gunicorn's master starts no worker again after this one.
CANNOT_LOAD = 4


def _load() -> Flask:
    # First of all, so that no handler writes past it into the console what a job logs.
    capture.install()
    try:
        settings = load_server_settings()
        logs.configure(settings.log_format, Background(), settings.secrets)
        app = create_app(settings)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(CANNOT_LOAD) from None
    garbage.settle()
    return app


app = _load()
