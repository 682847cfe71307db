"""The HTTP API: what people do on the pages, programs do here; docs/api.md, and OpenAPI made from this code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar, cast

import msgspec
from flask import Blueprint, Flask, Response, current_app, g, request, url_for
from pydantic import BaseModel

from app import api_models as models
from app import api_output, bodies, callers, history, messages, openapi
from app.console import KEY_LENGTH, Console
from app.errors import BadRequest
from app.matching import Query
from app.model import Run
from app.operations import operation
from app.rights import Action
from app.typed import JOB as CODE

bp = Blueprint("api", __name__, url_prefix="/api/v1.0")
KEY_HEADER = "Idempotency-Key"
_KEY = re.compile(models.KEY)
KEY_TEXT = "The same key again, within a day, is the same run."
M = TypeVar("M", bound=BaseModel)


def register(app: Flask) -> None:
    """Give `app` the API; needs the extensions console, settings, stack, credentials, grants, streams."""
    app.register_blueprint(bp)


@bp.get("/me")
@operation(answer=models.Me)
def me() -> Response:
    """Who calls, and what the token is good for."""
    asked(models.NoOptions)
    grant = g.grant
    token = (sorted(grant.scopes), grant.name, grant.expires) if grant else (None, None, None)
    return answer(
        {"user": g.user.label, "id": g.user.id, **dict(zip(("scopes", "token", "expires"), token, strict=True))}
    )


@bp.get("/jobs")
@operation(answer=models.Jobs)
def jobs() -> Response:
    """All jobs, with the JSON Schema of their parameters."""
    asked(models.NoOptions)
    return answer({"jobs": [each.as_dict() for each in console().jobs(g.user)]})


@bp.get("/jobs/<name>")
@operation(answer=models.JobInfo, errors=(404,))
def job(name: str) -> Response:
    """One job."""
    asked(models.NoOptions)
    return answer(console().job(g.user, name).as_dict())


@bp.get("/runs")
@operation(query=models.RunsQuery, answer=models.RunPage)
def runs() -> Response:
    """The user's runs, newest first."""
    query = asked(models.RunsQuery)
    found, following = history.page_of(
        console(), g.user, job=query.job, statuses=query.status, limit=query.limit, cursor=query.cursor
    )
    return answer({"runs": [each.as_dict() for each in found], "next": following})


@bp.post("/runs")
@operation(
    body=models.StartBody,
    answer=models.RunInfo,
    status=201,
    headers={KEY_HEADER: (KEY_TEXT, models.KEY)},
    errors=(404, 409, 422, 429, 503),
)
def start() -> Response:
    """Start a job.

    Starting typed code (the job `code`) needs the scope `code` too. A job that works with the user's own access at the
    login provider needs a login that still holds.
    """
    asked(models.NoOptions)
    wanted = sent(models.StartBody)
    if wanted.job == CODE:
        callers.require(Action.CODE)
    callers.require_access(console().job(g.user, wanted.job))
    run = console().start(g.user, wanted.job, wanted.params, _key())
    made = answer(run.as_dict(), 201)
    made.headers["Location"] = url_for("api.run", run_id=run.id)
    return made


@bp.get("/runs/<run_id>")
@operation(answer=models.RunInfo, errors=(404,))
def run(run_id: str) -> Response:
    """One run: its status, its parameters, the length of its output."""
    asked(models.NoOptions)
    return _run(console().run(g.user, run_id))


@bp.post("/runs/<run_id>/stop")
@operation(answer=models.RunInfo, errors=(404,))
def stop(run_id: str) -> Response:
    """Ask a run to stop; one that has ended stays as it is."""
    asked(models.NoOptions)
    return _run(console().stop(g.user, run_id))


@bp.post("/runs/<run_id>/kill")
@operation(answer=models.RunInfo, errors=(404,))
def kill(run_id: str) -> Response:
    """End a run at once; a thread cannot be killed."""
    asked(models.NoOptions)
    return _run(console().kill(g.user, run_id))


@bp.post("/runs/<run_id>/input")
@operation(body=models.InputBody, answer=models.RunInfo, errors=(404, 409, 429))
def give_input(run_id: str) -> Response:
    """Give a run the line that it asks for, or the end of all input."""
    asked(models.NoOptions)
    line = sent(models.InputBody).line
    checked = None if line is None else messages.line({"line": line})
    return _run(console().give_input(g.user, run_id, checked))


@bp.get("/runs/<run_id>/search")
@operation(query=models.SearchQuery, answer=models.Matches, errors=(404,))
def search(run_id: str) -> Response:
    """Find lines of a run's output."""
    query = asked(models.SearchQuery)
    run = console().run(g.user, run_id)
    found = console().search(
        g.user,
        run.id,
        Query(query.text, query.pattern, ignore_case=query.ignore_case),
        after=query.after,
        backwards=query.backwards,
        limit=query.limit,
        gone=lambda: False,
    )
    return answer({"matches": [asdict(each) for each in found.matches], "searched": found.searched, "done": found.done})


@bp.get("/runs/<run_id>/output")
@bp.get("/runs/<run_id>/output.<form>")
@operation(
    query=models.OutputQuery,
    headers={"Last-Event-ID": ("Go on behind this event of another answer, whatever the query says.", "")},
    content=("text/plain", "text/event-stream", "application/x-ndjson"),
    errors=(404, 406, 429),
    nothing="Nothing more: the end has been sent.",
)
def output(run_id: str, form: str | None = None) -> Response:
    """A run's output, from any place on, live until the run has ended.

    Its form is what `Accept` prefers, or the ending of the address: `.raw`, `.sse`, `.ndjson`.
    """
    return api_output.answer(console(), run_id, asked(models.OutputQuery), form)


@bp.get("/openapi.json")
def description() -> Response:
    """The API as OpenAPI 3.1 describes it."""
    return answer(openapi.describe(current_app))


@bp.get("/docs")
def manual() -> str:
    """The same for people."""
    return openapi.page(current_app)


def console() -> Console:
    """The use cases of this application."""
    return cast(Console, current_app.extensions["console"])


def answer(value: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON document."""
    return Response(msgspec.json.encode(value), status, content_type="application/json")


def asked(model: type[M]) -> M:
    """The query, as `model` has it.

    Raises: BadRequest.
    """
    several = {name for name, each in model.model_fields.items() if isinstance(each.default, list)}
    values: dict[str, Any] = {}
    for name, given in request.args.lists():
        if len(given) > 1 and name not in several:
            raise BadRequest(f"{name[:100]}: given more than once")
        values[name] = given if name in several else given[0]
    return models.checked(model, values)


def sent(model: type[M]) -> M:
    """The body, as `model` has it.

    Raises: BadRequest; UnsupportedMediaType; RequestEntityTooLarge.
    """
    data = bodies.read("application/json")
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadRequest("The body is no JSON.") from None
    return models.checked(model, value)


def _key() -> str | None:
    """The start's key; the quotes that the header's draft asks for are no part of it."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise BadRequest(f"{KEY_HEADER}: expected 1 to {KEY_LENGTH} letters, digits and signs, without spaces")
    return key[1:-1] if len(key) > 2 and key[0] == key[-1] == '"' else key  # noqa: PLR2004 - the quotes, and a sign


def _run(run: Run) -> Response:
    return answer(run.as_dict())
