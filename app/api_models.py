"""The shapes of the HTTP API: what callers send and get; the OpenAPI description is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError

from app.channels import MOST_NAMES
from app.errors import BadRequest
from app.lookup import MOST_MATCHES
from app.matching import QUERY_CHARACTERS
from app.messages import LINE_LENGTH
from app.model import Status
from app.rights import Scope
from app.values import NAME_PATTERN, VALUE_BYTES

MOST_BYTES = 10**18
VALUE_TEXT = f"Any JSON, of {VALUE_BYTES} bytes at most."
MOST_RUNS = 200
KEY = r"^[\x21-\x7e]{1,128}$"
# Eight bytes in base64.
CURSOR = r"^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$"
RUN_ID = r"^[A-Za-z0-9_-]{22}$"


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("expected a whole number")
    return value


def _yes_no(value: object) -> object:
    choices: dict[object, bool] = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if isinstance(value, str) and value not in choices:
        raise ValueError("expected true or false")
    return choices.get(value, value)


# The bounds come first: beside them a description of the type is made, which the check before would hide.
ChannelName = Annotated[StrictStr, Field(pattern=NAME_PATTERN)]
Whole = Annotated[int, Field(ge=0, le=MOST_BYTES), BeforeValidator(_digits)]
Number = Annotated[int, Field(ge=1, le=MOST_BYTES), BeforeValidator(_digits)]
Page = Annotated[int, Field(ge=1, le=MOST_RUNS), BeforeValidator(_digits)]
Few = Annotated[int, Field(ge=1, le=MOST_MATCHES), BeforeValidator(_digits)]
Beat = Annotated[int, Field(ge=1, le=300), BeforeValidator(_digits)]
Past = Annotated[int, Field(ge=0, le=3600), BeforeValidator(_digits)]
YesNo = Annotated[bool, BeforeValidator(_yes_no)]


class Asked(BaseModel):
    """What a caller sends: nothing else than what is named."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NoOptions(Asked):
    """No options."""


class RunsQuery(Asked):
    """Which runs."""

    job: str | None = Field(None, max_length=200, description="Runs of this job alone.")
    status: list[Status] = Field([], description="Runs with one of these statuses alone; may be given several times.")
    limit: Page = Field(50, description="Most runs in the answer.")
    cursor: str | None = Field(None, pattern=CURSOR, description="`next` of the answer before: the runs behind it.")


class OutputQuery(Asked):
    """From where on, and how: at most one of `after`, `line`, `tail`, `time`."""

    after: Whole | None = Field(None, description="From this byte on.")
    line: Number | None = Field(None, description="From this line on, counted from 1.")
    tail: Whole | None = Field(None, description="The last so many lines.")
    time: float | None = Field(
        None, allow_inf_nan=False, description="From what was printed at this moment on, in seconds since 1970."
    )
    follow: YesNo = Field(
        True, description="Go on until the run has ended; false: end where the output ends at the request."
    )
    stream: Literal["all", "out", "err"] = Field("all", description="Both outputs, or one of them.")
    heartbeat: Beat = Field(15, description="Seconds of silence after which a sign of life is sent.")


class SearchQuery(Asked):
    """What to look for: `text` or `pattern`."""

    text: str | None = Field(None, min_length=1, max_length=QUERY_CHARACTERS, description="Lines with this text.")
    pattern: str | None = Field(None, min_length=1, max_length=QUERY_CHARACTERS, description="Lines that match (RE2).")
    after: Whole | None = Field(None, description="From this byte on, or before it.")
    backwards: YesNo = Field(False, description="What is before `after`, newest line first.")
    ignore_case: YesNo = Field(False, description="Take A for a.")
    limit: Few = Field(100, description="Most lines in the answer.")


class StartBody(Asked):
    """A start."""

    job: StrictStr = Field(min_length=1, max_length=200, description="The job's name.", examples=["count"])
    params: dict[str, Any] = Field({}, description="As the job's JSON Schema has them.", examples=[{}])


class InputBody(Asked):
    """A line for a run that reads input."""

    line: StrictStr | None = Field(
        max_length=LINE_LENGTH,
        pattern=r"^[^\r\n]*$",
        description="The line, without its end; null: there is no more input.",
    )


class SetStreamBody(Asked):
    """The channels of a stream."""

    stream: list[ChannelName] = Field(
        alias="Stream", min_length=1, max_length=MOST_NAMES, description="Their names.", examples=[["X", "Y", "Z"]]
    )


class ChannelValue(Asked):
    """A value for a channel."""

    value: Any = Field(description=VALUE_TEXT, examples=[3])


class ChannelValues(Asked):
    """Values for channels."""

    values: dict[ChannelName, Any] = Field(
        min_length=1, max_length=MOST_NAMES, description=f"By the channels' names. {VALUE_TEXT}", examples=[{"X": 3}]
    )


class StreamQuery(Asked):
    """Which channels, and from where on."""

    channel: list[ChannelName] = Field(
        [], max_length=MOST_NAMES, description="A channel, instead of those of the cookie; may be given several times."
    )
    after: Whole | None = Field(None, description="Begin with the changes after this `sequence`, not with all values.")
    past: Past = Field(0, description="Seconds whose changes are told first, as far as they are kept; not as `.json`.")
    follow: YesNo = Field(True, description="Go on for ever; false: end behind what there is.")
    heartbeat: Beat = Field(10, description="Seconds of silence after which that is said.")


class Told(BaseModel):
    """What callers get."""


class Me(Told):
    """Who calls."""

    user: str = Field(description="The name and the e-mail address.")
    id: str = Field(description="The user's id at the login provider.")
    scopes: list[Scope] | None = Field(description="Those of the token; null with a session's cookie.")
    token: str | None = Field(description="The token's name.")
    expires: float | None = Field(description="The token's end, in seconds since 1970.")


class JobInfo(Told):
    """A job."""

    name: str
    title: str
    summary: str
    help: str
    executor: str = Field(description="Where its runs happen: `thread`, `process` or `celery`.")
    needs_token: bool = Field(description="Whether it works with the user's own access at the login provider.")
    error: str | None = Field(description="Why its file cannot be loaded; null where it can be started.")
    parameters: dict[str, Any] = Field(description="The JSON Schema of `params`.")


class Jobs(Told):
    """All jobs."""

    jobs: list[JobInfo]


class RunInfo(Told):
    """A run; times are seconds since 1970, `position` is the length of its output in bytes."""

    id: str = Field(pattern=RUN_ID)
    job: str
    title: str
    user: str
    status: Status
    created: float
    started: float | None
    ended: float | None
    exit_code: int | None
    message: str = Field(description="For people: why it ended so.")
    progress: list[float] | None = Field(description="How much is done, and of how much.")
    position: int
    params: dict[str, Any]
    executor: str
    stage: dict[str, Any] | None = Field(description="How far a Stop has come.")
    signal: str = Field(description="What ended its process, such as SIGSEGV.")
    queue: str = Field(description="Where it waited for its turn.")
    asks: str | None = Field(description="The prompt of an input() that waits for its line.")


class RunPage(Told):
    """Runs, newest first; more are behind the cursor `next`."""

    runs: list[RunInfo]
    next: str | None


class MatchInfo(Told):
    """A line that matches."""

    position: int
    end: int
    line: int
    time: float
    text: str
    begins: int
    ends: int
    column: int


class Matches(Told):
    """Lines that match; where `done` is false, go on with `after` = `searched`."""

    matches: list[MatchInfo]
    searched: int
    done: bool


class ChannelInfo(Told):
    """A channel; `time` (seconds since 1970) is when it was given this value."""

    channel: str = Field(pattern=NAME_PATTERN)
    sequence: int = Field(description="The number of this change among all changes of all channels.")
    time: float
    value: Any


class ChannelList(Told):
    """Channels."""

    channels: list[ChannelInfo]


class Problem(Told):
    """An error (RFC 9457): `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    fields: dict[str, str] | None = Field(None, description="A sentence for each wrong parameter of a job.")


M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], values: Any) -> M:
    """What was sent, as `model` has it.

    Raises: BadRequest with a sentence.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        if first["type"] == "extra_forbidden":
            raise BadRequest(f"There is nothing of the name {where[:100]!r} here.") from None
        raise BadRequest(f"{where[:100]}: {first['msg'].removeprefix('Value error, ')}") from None
