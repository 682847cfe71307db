"""The pages: the list of jobs, a job, a run; and what errors look like."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from app import __version__, audit, auth, callers, cross_origin, downloads, rights
from app.assets import Assets
from app.console import Console
from app.errors import LoginAgain, LoginRequired, NotFound, RealtimeError
from app.forms import fields
from app.kinds import describe
from app.model import Run
from app.readiness import Readiness
from app.typed import JOB as CODE

Page = tuple[str, int, dict[str, str]]
bp = Blueprint("views", __name__)
RECENT_RUNS = 20
RETRY_SECONDS = 5
CRASHED = "Something went wrong on this server."
ADVICE = {
    400: "Go back, reload the page and try again.",
    403: "Ask the person who runs this server, if you think that you should be allowed to do this.",
    404: "The address may be mistyped, or it belongs to somebody else.",
    405: "Please use the page's own buttons and links.",
    429: "Wait a little, then try again.",
    500: "The server's log has the details. Try again; if it stays, tell the person who runs this server.",
    503: "Nothing that was printed is lost. Wait a few seconds, then reload this page.",
}


def register(app: Flask) -> None:
    """Give `app` its pages, its error pages and the check that each visitor passes a row of the table of rights."""
    folder = Path(app.root_path)
    assets = app.extensions["assets"] = Assets(folder / "static", folder.parent / "vendor")
    app.register_blueprint(bp)
    app.register_blueprint(downloads.bp)
    app.before_request(_enter)
    app.jinja_env.filters["moment"] = _moment
    app.jinja_env.globals.update(
        asset=lambda name: url_for("static", filename=name, v=assets.version(name)),
        import_map=lambda: assets.imports(url_for),
        library_style=lambda package: assets.style(package, url_for),
        library_script=lambda package: assets.script(package, url_for),
        storage=lambda: app.extensions["health"].storage,
    )
    app.register_error_handler(LoginRequired, _to_login)
    app.register_error_handler(LoginAgain, _to_login)
    app.register_error_handler(RealtimeError, _show_error)
    app.register_error_handler(HTTPException, _show_http_error)
    app.register_error_handler(Exception, _show_crash)


@bp.get("/index")
@bp.get("/")
def index() -> str:
    """The jobs, and the visitor's newest runs."""
    # Typed code has a page of its own, for those who may.
    jobs = [each for each in console().jobs(g.user) if each.name != CODE]
    return render_template("index.html", jobs=jobs, runs=console().runs(g.user, limit=RECENT_RUNS))


@bp.get("/jobs/<name>")
def job(name: str) -> str:
    """A job's form and terminal with the run of `?run=` or one under way; `?again=` has that run's parameters."""
    found = console().job(g.user, name)
    again = run_of(name, "again")
    runs = console().runs(g.user, job=name, limit=RECENT_RUNS)
    run = run_of(name, "run")
    if run is None and again is None and runs and not runs[0].status.final:
        # Who comes back to a job that is still at work wants to see that.
        run = runs[0]
    again = again or run
    return render_template(
        "job.html",
        job=found,
        run=run,
        fields=[] if found.error else fields(found.schema, again.params if again else None),
        runs=runs,
        kind=None if found.error else describe(found, current_app.extensions["settings"]),
        data=page_data(name, run),
    )


@bp.get("/runs/<run_id>")
def run(run_id: str) -> str:
    """One run: its parameters, its status, all of its output."""
    found = console().run(g.user, run_id)
    return render_template("run.html", run=found, typed=found.job == CODE, data=page_data(found.job, found))


@bp.get("/vendor/<path:path>")
def vendor(path: str) -> Response:
    """A file of the page's libraries."""
    return send_from_directory(cast(Assets, current_app.extensions["assets"]).vendor, path)


@bp.get("/healthz")
def health() -> dict[str, str]:
    """That the web server answers, and which version it is."""
    return {"status": "ok", "version": __version__}


@bp.get("/readyz")
def ready() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Whether visitors should be sent here; if not, why."""
    reasons = cast(Readiness, current_app.extensions["readiness"]).reasons()
    if not reasons:
        return {"status": "ready", "reasons": []}, int(HTTPStatus.OK), {}
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return {"status": "unready", "reasons": reasons}, int(HTTPStatus.SERVICE_UNAVAILABLE), headers


def _enter() -> None:
    g.user = None
    if request.endpoint is None:
        return
    door = f"http:{request.endpoint}"
    audit.enter(door)
    if cross_origin.is_question():
        # Answered by Flask itself; browsers ask without a login.
        return
    action = rights.action_of(door)
    if action is None:
        audit.denied("no_row")
        raise NotFound("There is no such page.")
    if action is not rights.Action.PUBLIC:
        g.user = rights.require(callers.enter(door, action), action)


def console() -> Console:
    """The use cases of this application."""
    return cast(Console, current_app.extensions["console"])


def run_of(job_name: str, argument: str) -> Run | None:
    """The visitor's run that an argument of the address names; None without it.

    Raises: NotFound, also where it is a run of another job.
    """
    run_id = request.args.get(argument)
    found = console().run(g.user, run_id) if run_id else None
    if found is not None and found.job != job_name:
        raise NotFound("There is no such run of this job.")
    return found


def page_data(job_name: str, run: Run | None) -> dict[str, Any]:
    """What the page's modules need to know at their start; `now` lets them correct a wrong clock."""
    return {
        "job": job_name,
        "run": run.as_dict() if run else None,
        "now": time.time(),
        "links": {
            "job": url_for("views.job", name=job_name),
            "run": url_for("views.run", run_id="RUN"),
            "output": url_for("downloads.output", run_id="RUN"),
            "login": url_for("auth.login"),
            "socket": f"{request.script_root}/socket.io",
        },
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _to_login(_error: RealtimeError) -> BaseResponse | Page:
    try:
        return auth.begin_login(request.full_path.rstrip("?"))
    except RealtimeError as error:
        return _show_error(error)


def _show_error(error: RealtimeError) -> Page:
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.logger.error("%s: %s", error.code, error)
    return _error_page(error.http_status, str(error))


def _show_http_error(error: HTTPException) -> Page | HTTPException:
    code = error.code or int(HTTPStatus.INTERNAL_SERVER_ERROR)
    if code < HTTPStatus.BAD_REQUEST:
        return error
    own: dict[int, str] = {HTTPStatus.NOT_FOUND: "There is no such page.", HTTPStatus.INTERNAL_SERVER_ERROR: CRASHED}
    text = own.get(code, error.description or error.name)
    page, status, extra = _error_page(code, text)
    allowed = error.get_response().headers.get("Allow")
    return page, status, {**extra, **({"Allow": allowed} if allowed else {})}


def _show_crash(_error: Exception) -> Page:
    current_app.logger.exception("a page failed: %s", request.endpoint)
    return _error_page(500, CRASHED)


def _error_page(status: int, title: str) -> Page:
    page = render_template(
        "message.html",
        code=status,
        title=title,
        text=ADVICE.get(status, ADVICE[HTTPStatus.BAD_REQUEST]),
        address=url_for("views.index"),
        label="Go to the jobs",
    )
    return page, status, {"Retry-After": str(RETRY_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
