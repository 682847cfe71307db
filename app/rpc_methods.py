"""The methods of JSON-RPC; docs/rpc.md. Each has a row in the table of rights, `rpc:` and its name.

Parameters are the fields of a dataclass, in order or by name; each method ends in one call of a use case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from jsonrpc import Method

from app import api_models, formats
from app.catalog import Job
from app.celery_echo import WAYS, Way
from app.console import Console
from app.errors import BadRequest, TooMany
from app.lookup import Place
from app.model import Stream, User
from app.rights import Action
from app.tasks import Tasks
from app.typed import JOB as CODE

LONGEST_TEXT = 100_000
OUTPUT_BYTES, MOST_OUTPUT_BYTES = 65_536, 262_144
# Of all outputs in the answer to one batch.
MOST_ANSWER_BYTES = 4_194_304
# What an object has besides its text.
RECORD_COST = 128
STREAMS: dict[str, Stream | None] = {"all": None, "out": Stream.OUT, "err": Stream.ERR}
_KEY = re.compile(api_models.KEY)


@dataclass
class Caller:
    """Who calls, and by what: `require` asks the table, `require_access` for a job's access at the login provider.

    `left` is how many bytes of output the answer still has room for.
    """

    user: User
    console: Console
    tasks: Tasks
    require: Callable[[Action], User]
    require_access: Callable[[Job], None]
    left: int = MOST_ANSWER_BYTES


@dataclass(frozen=True)
class Text:
    """What to answer."""

    text: str


class Echo(Method):
    """Answers the text, in one of the ways."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = WAYS[way]

    def execute(self, params: Text) -> str:
        """The text."""
        if len(params.text) > LONGEST_TEXT:
            raise BadRequest(f"text: at most {LONGEST_TEXT} characters")
        return self._way(params.text)


@dataclass(frozen=True)
class EchoTask:
    """What to have echoed, and how."""

    method: str
    text: str


class CeleryEcho(Method):
    """Has a text echoed by a Celery worker."""

    def execute(self, params: EchoTask, context: Caller) -> dict[str, Any]:
        """The task's id."""
        return {"task_id": context.tasks.begin(context.user, params.method, params.text)}


@dataclass(frozen=True)
class Task:
    """Which task."""

    task_id: str


class GetResult(Method):
    """How far a task is, and what came of it; as often as one asks."""

    def execute(self, params: Task, context: Caller) -> dict[str, Any]:
        """Its id, its state, and its echo on SUCCESS."""
        return context.tasks.result(context.user, params.task_id)


class ListJobs(Method):
    """All jobs."""

    def execute(self, params: None, context: Caller) -> dict[str, Any]:
        """The jobs, as the HTTP API has them."""
        return {"jobs": [each.as_dict() for each in context.console.jobs(context.user)]}


@dataclass(frozen=True)
class Start:
    """What to start; the same `key` again, within a day, is the same run."""

    job: str
    params: dict[str, Any] = field(default_factory=dict)
    key: str | None = None


class StartRun(Method):
    """Starts a job."""

    def execute(self, params: Start, context: Caller) -> dict[str, Any]:
        """The run."""
        if params.key is not None and not _KEY.fullmatch(params.key):
            raise BadRequest("key: expected 1 to 128 letters, digits and signs, without spaces")
        if params.job == CODE:
            context.require(Action.CODE)
        context.require_access(context.console.job(context.user, params.job))
        return context.console.start(context.user, params.job, params.params, params.key).as_dict()


@dataclass(frozen=True)
class OneRun:
    """Which run."""

    run: str


class RunStatus(Method):
    """One run."""

    def execute(self, params: OneRun, context: Caller) -> dict[str, Any]:
        """The run as it is now."""
        return context.console.run(context.user, params.run).as_dict()


class StopRun(Method):
    """Asks a run to stop; one that has ended stays as it is."""

    def execute(self, params: OneRun, context: Caller) -> dict[str, Any]:
        """The run."""
        return context.console.stop(context.user, params.run).as_dict()


@dataclass(frozen=True)
class OutputPart:
    """Which part of a run's output: from one place at most on, about `limit` bytes."""

    run: str
    after: int | None = None
    line: int | None = None
    tail: int | None = None
    limit: int = OUTPUT_BYTES
    stream: Literal["all", "out", "err"] = "all"


class RunOutput(Method):
    """What a run has printed so far: ask again with `after` = `position` until it is `done`."""

    def execute(self, params: OutputPart, context: Caller) -> dict[str, Any]:
        """The run, the objects of its output, the position behind them, and whether that is all."""
        if not 1 <= params.limit <= MOST_OUTPUT_BYTES:
            raise BadRequest(f"limit: a number from 1 to {MOST_OUTPUT_BYTES}")
        if context.left <= 0:
            raise TooMany("The answer to this batch is long enough: ask for this in another one.", 0)
        place = Place(params.after, params.line, params.tail)
        run, start, pieces = context.console.read(context.user, params.run, place, params.limit)
        position = pieces[-1].position if pieces else start
        records = [each for piece in pieces for each in formats.objects(piece, STREAMS[params.stream])]
        context.left -= position - start + RECORD_COST * len(records)
        return {
            "run": run.as_dict(),
            "records": records,
            "position": position,
            "done": run.status.final and position >= run.position,
        }


def methods() -> dict[str, Method]:
    """All of them by their names, made anew."""
    return {
        **{way: Echo(way) for way in WAYS},
        "celery_echo": CeleryEcho(),
        "get_result": GetResult(),
        "jobs.list": ListJobs(),
        "runs.start": StartRun(),
        "runs.status": RunStatus(),
        "runs.output": RunOutput(),
        "runs.stop": StopRun(),
    }
