"""The pages of channels: those that one picks, live, and a tiny one that reads the stream with Oboe.js."""

from __future__ import annotations

import time
from typing import Any, cast

from flask import Blueprint, Flask, current_app, g, render_template, request, url_for

from app.channels import MOST_NAMES, Change, Channels

bp = Blueprint("channels_page", __name__)
# What the tiny page takes where nothing is picked.
FEW = 3


def register(app: Flask) -> None:
    """Give `app` the pages; needs the extension channels."""
    app.register_blueprint(bp)


@bp.get("/channels")
def page() -> str:
    """All channels to pick from; those of `?channel=` are picked."""
    channels = _all()
    picked = set(request.args.getlist("channel")[:MOST_NAMES])
    return render_template("channels.html", channels=channels, picked=picked, most=MOST_NAMES, data=_data())


@bp.get("/channels/oboe")
def oboe() -> str:
    """The channels of `?channel=`, or the first few, as Oboe.js reads them from the stream."""
    names = request.args.getlist("channel")[:MOST_NAMES] or [each.name for each in _all()[:FEW]]
    return render_template("channels_oboe.html", names=names, data={**_data(), "names": names})


def _all() -> list[Change]:
    return cast(Channels, current_app.extensions["channels"]).all(g.user)


def _data() -> dict[str, Any]:
    """What the pages' modules need to know at their start; `now` lets them correct a wrong clock."""
    return {
        "now": time.time(),
        "most": MOST_NAMES,
        "links": {
            "channels": url_for("channels.all_"),
            "stream": url_for("channels.stream"),
            "events": url_for("channels.stream", form="sse"),
            "subscribe": url_for("channels.set_stream"),
        },
    }
