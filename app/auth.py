"""The login door: to the provider and back, logout, and who is logged in."""

from __future__ import annotations

import hmac
import re
import secrets
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Flask, Response, current_app, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import audit, rights
from app.credentials import Credentials
from app.errors import BadRequest, LoginAgain, RealtimeError
from app.model import User
from app.paths import local_path
from app.provider import Provider

bp = Blueprint("auth", __name__)

# Each login that began has a cookie of its own, so that several tabs can log in side by side.
COOKIE = "frt_login_"
COOKIE_CHARACTERS = 16
COOKIE_SECONDS = 600
MOST_COOKIES = 8
STATE_BYTES = 32
_STATE = re.compile(r"[A-Za-z0-9_-]{43}")
RETRY_SECONDS = 5

ENDED = "You are logged out"
ENDED_TEXT = (
    "This browser's login has ended. Runs that are still going on keep the access that they hold, "
    "until it ends or until you stop them."
)


def register(app: Flask) -> None:
    """Give `app` the addresses of the login; needs the extensions settings, stack, provider, credentials, on_logout."""
    app.register_blueprint(bp)


def current_user() -> User | None:
    """Who is logged in, in this request or socket.

    Raises: StoreUnavailable where the store cannot be asked.
    """
    user = _sessions().current().get("user")
    return User(*user) if user else None


def session_key() -> str:
    """The session as the server names it: a hash, of no use as a cookie."""
    return cast(str, _sessions().current().key)


def begin_login(target: str) -> BaseResponse:
    """Send the visitor to the provider; afterwards they come back to `target`, if that is a local path.

    Raises: StoreUnavailable.
    """
    home = urlsplit(_settings().redirect_uri)
    path = local_path(target)
    if request.host != home.netloc and "moved" not in request.args:
        # 127.0.0.1 and localhost have a cookie jar each. `moved`: behind a proxy that hides the host, this ends too.
        question = urlencode({"next": path, "moved": 1})
        return redirect(f"{home.scheme}://{home.netloc}{url_for('auth.login')}?{question}")
    state, verifier = secrets.token_urlsafe(STATE_BYTES), Provider.new_verifier()
    current_app.extensions["logins"].begin(state, verifier, path)
    response = redirect(_provider().authorize_url(state, verifier))
    started = [name for name in request.cookies if name.startswith(COOKIE)]
    for name in started[: max(0, len(started) - MOST_COOKIES + 1)]:
        response.delete_cookie(name)
    response.set_cookie(
        _cookie(state),
        state,
        max_age=COOKIE_SECONDS,
        secure=home.scheme == "https",
        httponly=True,
        samesite="Lax",
    )
    return response


@bp.get("/login")
def login() -> BaseResponse:
    """`?next=/path` is where the visitor goes on afterwards."""
    return begin_login(request.args.get("next", "/"))


@bp.get("/redirect", endpoint="redirect")
def redirect_() -> BaseResponse:
    """Where the provider sends the visitor back to, with a code or an error."""
    state = _one("state")
    began = None
    if _STATE.fullmatch(state) and hmac.compare_digest(
        request.cookies.get(_cookie(state), "").encode(), state.encode()
    ):
        began = current_app.extensions["logins"].take(state)
    if began is None:
        audit.denied("login_state")
        raise BadRequest("This login was used before, took too long, or began in another browser.")
    g.target = began.target
    refused = "error" in request.args
    response: BaseResponse = _refused(_one("error")) if refused else _accepted(_one("code"), began.verifier)
    response.delete_cookie(_cookie(state))
    return response


def _refused(error: str) -> Response:
    audit.denied("provider", detail=error)
    name = _settings().provider_name
    if error == "access_denied":
        return _page(403, "You did not log in", f"You did not allow the access at {name}, so nobody is logged in.")
    return _page(403, "The login did not work", f"{name} could not log you in. Please try again.")


def _accepted(code: str, verifier: str) -> BaseResponse:
    if not code:
        raise BadRequest("The provider's answer has no code.")
    token, user = current_app.extensions["stack"].call_in_thread(_provider().login, code, verifier)
    _credentials().save(user.id, token)
    sessions = _sessions()
    sessions.begin(sessions.current(), {"user": [user.id, user.name, user.email], "logout": secrets.token_urlsafe(16)})
    audit.login(user.id)
    return redirect(g.target)


@bp.route("/logout", methods=["GET", "POST"])
def logout() -> Response:
    """End this browser's login; a foreign site that sends a visitor here gets a question asked instead."""
    session = _sessions().current()
    user, key = current_user(), session_key()
    if user is None:
        return _page(200, ENDED, ENDED_TEXT, target="/")
    if not _meant(session["logout"]):
        audit.denied("cross_site", user.id, detail=request.headers.get("Referer", ""))
        text = "Please confirm that you want to log out."
        return _page(200, "Log out?", text, label="Log out", address=url_for("auth.logout", key=session["logout"]))
    # The tokens first: where the store fails at them, the visitor is still logged in and can try again.
    _credentials().forget(user.id)
    _sessions().end(session)
    for hook in current_app.extensions["on_logout"]:
        hook(key)
    audit.logout(user.id)
    return _page(200, ENDED, ENDED_TEXT, target="/")


def _meant(key: str) -> bool:
    """Whether the visitor asked for the logout: by our page, our question or the address bar; not a foreign site."""
    if hmac.compare_digest(request.args.get("key", "").encode(), key.encode()):
        return True
    if "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", "")):
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    # Browsers send Sec-Fetch-Site to https and localhost only; our pages' Referrer-Policy leaves them the Referer here.
    home, came = urlsplit(_settings().redirect_uri), request.headers.get("Referer", "")
    return came.startswith(f"{home.scheme}://{home.netloc}/")


@bp.errorhandler(RealtimeError)
def _failed(error: RealtimeError) -> Response:
    status = 400 if isinstance(error, LoginAgain) else error.http_status
    if request.endpoint == "auth.redirect" and not isinstance(error, BadRequest):
        audit.denied("login_failed", detail=error.code)
    return _page(
        status, "The login did not work" if request.endpoint != "auth.logout" else "Not logged out", str(error)
    )


@bp.after_app_request
def _keep_fresh(response: Response) -> Response:
    """While somebody looks at pages from which jobs start, their token is kept fresh, and no page waits for that."""
    user = g.get("user")
    if user is not None and rights.action_of(f"http:{request.endpoint}") is rights.Action.LIST_JOBS:
        _credentials().freshen(user.id)
    return response


def _page(
    status: int, title: str, text: str, *, target: str = "", label: str = "Log in again", address: str = ""
) -> Response:
    address = address or url_for("auth.login", next=target or g.get("target", "/"))
    response = make_response(render_template("message.html", title=title, text=text, address=address, label=label))
    response.status_code = status
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _one(name: str) -> str:
    """The query's one value of this name; "" where there is none, or where there are several."""
    values = request.args.getlist(name)
    return values[0] if len(values) == 1 else ""


def _cookie(state: str) -> str:
    return COOKIE + state[:COOKIE_CHARACTERS]


def _sessions() -> Any:
    return current_app.session_interface


def _settings() -> Any:
    return current_app.extensions["settings"]


def _provider() -> Provider:
    return cast(Provider, current_app.extensions["provider"])


def _credentials() -> Credentials:
    return cast(Credentials, current_app.extensions["credentials"])
