"""Who calls: the user of a personal access token, or of the session's cookie, and whether a page of ours sent them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from flask import Flask, current_app, g, request

from app import audit, auth, handover, rights
from app.catalog import Job
from app.credentials import Credentials
from app.errors import Forbidden, LoginAgain
from app.grants import Grants
from app.model import User
from app.rights import Action

SCHEME = "bearer"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def enter(door: str, action: Action) -> User | None:
    """Who calls at a door; with a token that door and token have to be right for each other.

    `g.grant` is the token's record, None where a session asks.

    Raises: LoginRequired for a token that is none; Forbidden for one without the scope, or a foreign page;
    StoreUnavailable.
    """
    g.grant = None
    secret = _bearer()
    if secret is not None and door.startswith(rights.TOKEN_DOORS):
        grant = g.grant = _grants().recognise(secret)
        rights.require_scope(grant.scopes, action, grant.user)
        return grant.user
    user = auth.current_user()
    # A websocket, too: a browser opens it to whomever a page names, with our cookie.
    safe = request.method in SAFE and not handover.asked(request.environ)
    if user is not None and not safe and not _is_ours():
        audit.denied("cross_site", user.id, detail=request.headers.get("Origin", ""))
        raise Forbidden("Another site has sent this request: with a login's cookie that is not taken.")
    return user


def require(action: Action) -> User:
    """The user, if also this action is allowed: for doors that do several things.

    Raises: LoginRequired; Forbidden, naming the scope that is lacking.
    """
    user = rights.require(g.user, action)
    rights.require_scope(g.grant.scopes if g.grant else None, action, user)
    return user


def require_access(job: Job) -> None:
    """Come back where the user's own access at the login provider is there, if the job works with it.

    Raises: LoginAgain; ProviderUnavailable; StoreUnavailable.
    """
    if "token" not in job.injected:
        return
    credentials = cast(Credentials, current_app.extensions["credentials"])
    try:
        credentials.get(g.user.id)
    except LoginAgain:
        name = current_app.extensions["settings"].provider_name
        raise LoginAgain(
            f"This job works with your own access at {name}, which has ended. Log in in the browser."
        ) from None


def holder() -> str:
    """By what the caller is here, as `liveness` has it."""
    return f"token:{g.grant.digest}" if g.grant else f"session:{auth.session_key()}"


def liveness(app: Flask) -> Callable[[set[str]], set[str]]:
    """What tells which holders still are good; it raises StoreUnavailable."""
    grants = cast(Grants, app.extensions["grants"])
    interface: Any = app.session_interface

    def alive(holders: set[str]) -> set[str]:
        tokens = {each.removeprefix("token:") for each in holders if each.startswith("token:")}
        sessions = {each.removeprefix("session:") for each in holders if each.startswith("session:")}
        good = {f"token:{each}" for each in grants.alive(tokens)} if tokens else set()
        return good | ({f"session:{each}" for each in interface.alive(sessions)} if sessions else set())

    return alive


def _bearer() -> str | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == SCHEME else None


def _is_ours() -> bool:
    """Whether no other site's page sent the request: browsers say where a page is from; programs say nothing."""
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin in current_app.extensions["settings"].origins
    return request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")


def _grants() -> Grants:
    return cast(Grants, current_app.extensions["grants"])
