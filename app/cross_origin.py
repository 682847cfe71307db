"""Pages of other origins at the programs' doors, by Flask-Cors: those of an exact list, and never with cookies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request
from flask_cors import CORS

# A day; browsers themselves cut it down to hours.
MAX_AGE = 86_400
HEADERS = ("Authorization", "Content-Type")
DOORS: Mapping[re.Pattern[str], Mapping[str, Any]] = {
    re.compile(r"/rpc\Z"): {"methods": ["POST", "OPTIONS"], "allow_headers": HEADERS},
    re.compile("/api/"): {
        "methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        "allow_headers": [*HEADERS, "Idempotency-Key", "Last-Event-ID"],
        "expose_headers": ["Location"],
    },
}


def register(app: Flask) -> None:
    """Let pages of CORS_ORIGINS read the answers of these doors, errors too; needs the extension settings."""
    # Whole origins as they are: a list of texts would be searched for what looks like patterns.
    origins = [re.compile(rf"{re.escape(origin)}\Z") for origin in app.extensions["settings"].cors_origins]
    if not origins:
        return
    CORS(
        app,
        resources={path: {"expose_headers": [], **rules} for path, rules in DOORS.items()},
        origins=origins,
        max_age=MAX_AGE,
        supports_credentials=False,
        always_send=False,
        vary_header=False,
        # What is answered to an error passes by `after_request` like all others.
        intercept_exceptions=False,
    )
    app.after_request(_vary)


def is_question() -> bool:
    """Whether a browser, or anybody, only asks what one of these doors takes."""
    return request.method == "OPTIONS" and _meant()


def _vary(response: Response) -> Response:
    """Say to caches that another origin has another answer, also where this one has none."""
    if _meant():
        response.vary.add("Origin")
    return response


def _meant() -> bool:
    return any(path.match(request.path) for path in DOORS)
