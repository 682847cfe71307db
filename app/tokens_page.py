"""The page of personal access tokens: made, shown once, listed and revoked there."""

from __future__ import annotations

import time
from typing import cast

from flask import Blueprint, Flask, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.errors import BadRequest
from app.grants import DAYS, NAME_LENGTH, Grants
from app.rights import Scope
from app.streams import Streams

bp = Blueprint("tokens", __name__)
USUAL_DAYS = 30
MEANINGS = {
    Scope.READ: "see jobs, runs, their output and channels",
    Scope.RUN: "start runs, and give them input",
    Scope.STOP: "stop and kill runs",
    Scope.CODE: "start typed code (with “run”)",
    Scope.CHANNELS: "set channels, and see them",
}


def register(app: Flask) -> None:
    """Give `app` the page; needs the extensions grants and streams."""
    app.register_blueprint(bp)


@bp.get("/tokens")
def page() -> str:
    """The visitor's tokens, and the form for another: `?name=` and `?scope=` fill it in."""
    return _page(name=request.args.get("name", "")[:NAME_LENGTH], scopes=request.args.getlist("scope"))


@bp.post("/tokens")
def make() -> str:
    """Make a token; the answer is the only page that ever shows it."""
    days = request.form.get("days", "")
    if not (days.isascii() and days.isdigit() and len(days) < 5):  # noqa: PLR2004 - ten years have four digits
        raise BadRequest("days: expected a number")
    secret, _ = _grants().make(g.user, request.form.get("name", ""), request.form.getlist("scope"), int(days))
    return _page(secret=secret)


@bp.post("/tokens/<token_id>/revoke")
def revoke(token_id: str) -> BaseResponse:
    """End a token; what it watches on this server ends at once, elsewhere within seconds."""
    digest = _grants().revoke(g.user, token_id)
    cast(Streams, current_app.extensions["streams"]).end({f"token:{digest}"})
    return redirect(url_for("tokens.page"), 303)


def _page(*, secret: str = "", name: str = "", scopes: list[str] | None = None) -> str:
    return render_template(
        "tokens.html",
        secret=secret,
        name=name,
        chosen=scopes or [Scope.READ],
        meanings=MEANINGS,
        days=DAYS,
        usual_days=USUAL_DAYS,
        grants=_grants().of(g.user),
        now=time.time(),
    )


def _grants() -> Grants:
    return cast(Grants, current_app.extensions["grants"])
