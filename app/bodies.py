"""What comes with a request: a body of a known type, in UTF-8, that is not too long."""

from __future__ import annotations

from flask import current_app, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

CHARSETS = ("utf-8", "utf8", "us-ascii")


def read(*types: str) -> bytes:
    """The body, if it is of one of these types.

    Raises: UnsupportedMediaType; RequestEntityTooLarge.
    """
    charset = request.mimetype_params.get("charset", "utf-8")
    if request.mimetype not in types or charset.lower() not in CHARSETS:
        raise UnsupportedMediaType
    data = request.get_data(cache=False)
    if len(data) >= current_app.config["MAX_CONTENT_LENGTH"]:
        # Of a body whose length nobody told no more than this is read.
        raise RequestEntityTooLarge
    return data
