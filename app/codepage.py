"""The Console page: code that is typed, run and read there; the built-in job `code` is behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from flask import Blueprint, Flask, Response, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import views
from app.code_job import LONGEST_CODE
from app.errors import NotFound
from app.model import Run
from app.typed import JOB, Typed

bp = Blueprint("codepage", __name__)
LONGEST_LINE = 120


def register(app: Flask) -> None:
    """Give `app` the page, and templates what leads there: `may_type()`."""
    app.register_blueprint(bp)
    app.jinja_env.filters["first_line"] = first_line
    app.jinja_env.globals["may_type"] = lambda: bool(g.get("user")) and _typed().allowed(g.user)


@bp.get("/code")
def page() -> str:
    """The editor, the visitor's runs of typed code, and the output of one: of `?run=`, or `?again=`, or one under way.

    The code of the run of `?again=` is in the editor.

    Raises: Forbidden.
    """
    typed = _typed()
    typed.require(g.user)
    again = views.run_of(JOB, "again")
    run = views.run_of(JOB, "run") or again
    runs = views.console().runs(g.user, job=JOB, limit=views.RECENT_RUNS)
    if run is None and runs and not runs[0].status.final:
        run = runs[0]
    data = {
        **views.page_data(JOB, run),
        "user": g.user.id,
        "runs": [{**each.as_dict(), "params": {}} for each in _with(run, runs)],
        "source": source_of(again) if again else None,
        "longest": LONGEST_CODE,
        "refusal": typed.refusal,
    }
    data["links"] = {
        **data["links"],
        "job": url_for("codepage.page"),
        "run": url_for("codepage.page", run="RUN"),
        "code": url_for("codepage.source", run_id="RUN"),
    }
    return render_template("code.html", run=run, runs=runs, typed=typed, data=data)


@bp.get("/runs/<run_id>/code")
def source(run_id: str) -> Response:
    """The code that a run of the visitor's ran, as a file.

    Raises: NotFound, also where it is a run of another job.
    """
    run = views.console().run(g.user, run_id)
    if run.job != JOB:
        raise NotFound("This run has no code of its own.")
    answer = Response(source_of(run), content_type="text/x-python; charset=utf-8")
    answer.headers.set("Content-Disposition", "attachment", filename=f"{run.id}.py")
    return answer


@bp.get(f"/jobs/{JOB}")
def job() -> BaseResponse:
    """Typed code has a page of its own."""
    return redirect(url_for("codepage.page", run=request.args.get("run"), again=request.args.get("again")))


def source_of(run: Run) -> str:
    """The code that a run ran."""
    return str(run.params.get("source", ""))


def first_line(run: Run) -> str:
    """The line by which one knows a run's code again: the first that says something."""
    lines = [line.strip() for line in source_of(run).splitlines()]
    telling = [line for line in lines if line and not line.startswith("#")]
    return next(iter([*telling, *filter(None, lines)]), "")[:LONGEST_LINE]


def _with(run: Run | None, runs: Iterable[Run]) -> list[Run]:
    found = list(runs)
    return found if run is None or any(each.id == run.id for each in found) else [run, *found]


def _typed() -> Typed:
    return cast(Typed, current_app.extensions["typed"])
