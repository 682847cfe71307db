"""What gunicorn serves: `app.wsgi:app`."""

from __future__ import annotations

import logging
import sys

from flask import Flask

from app.config import load_settings
from app.errors import ConfigError
from app.factory import create_app

# gunicorn's master starts no worker again after this one.
CANNOT_LOAD = 4


def _load() -> Flask:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    try:
        return create_app(load_settings(server=True))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(CANNOT_LOAD) from None


app = _load()
