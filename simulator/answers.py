"""What every handler shares: the state of the stand-in, and answers in the forms that Webex gives them."""

from __future__ import annotations

import random
import secrets
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from simulator.data import World
from simulator.grants import Grants
from simulator.knobs import HeaderText, Knobs

# The sentences are those of https://developer.webex.com/docs/basics.
SENTENCES = {
    400: "The request could not be understood by the server due to malformed syntax.",
    401: "The request requires a valid access token set in the Authorization request header.",
    404: "The requested resource could not be found.",
    405: "The request was made to a resource using an HTTP request method that is not supported.",
    413: "The request is too large.",
    423: "The requested resource is temporarily unavailable.",
    429: "Too many requests have been sent in a given amount of time and the request has been rate limited.",
    500: "Something went wrong on the server.",
    502: "The server received an invalid response from an upstream server while processing the request.",
    503: "Server is overloaded with requests. Try again later.",
    504: "An upstream server failed to respond on time.",
}


class Fault(BaseModel):
    """A fault that was ordered: the next `times` requests to `path` answer `status`, or are cut off without an answer.

    `status` None lets the request through after `delay` seconds.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = Field("/", description="beginning of the path below the API's address, such as /rooms")
    status: int | None = Field(None, ge=400, le=599)
    cut: bool = False
    times: int = Field(1, ge=1)
    delay: float = Field(0.0, ge=0, le=600)
    retry_after: HeaderText | None = None
    body: str | None = None
    content_type: HeaderText = "application/json"


class State:
    """Everything that changes while the stand-in runs."""

    def __init__(self, knobs: Knobs, grants: Grants) -> None:
        self._first = knobs
        self.reset()
        self.grants = grants

    def reset(self) -> None:
        """Forget everything since the start."""
        self.grants = Grants()
        self.faults: list[Fault] = []
        self.counts: Counter[str] = Counter()
        self.recent: dict[str, deque[float]] = {}
        self.turn(self._first)

    def turn(self, knobs: Knobs) -> None:
        """Take `knobs` from now on."""
        self.knobs, self.world = knobs, World(knobs)
        self.chance = random.Random(knobs.seed)  # noqa: S311 - faults should come alike each time, not unforeseeably


STATE = web.AppKey("STATE", State)


def tracking_id() -> str:
    """An id by which Webex' support would find the request."""
    return f"ROUTER_{secrets.token_hex(16).upper()}"


def problem(status: int, message: str = "", *, retry_after: str | None = None) -> web.Response:
    """An error as the API answers it: a sentence, its repetition under `errors`, and a tracking id."""
    sentence, tracking = message or SENTENCES.get(status, SENTENCES[500]), tracking_id()
    body = {"message": sentence, "errors": [{"description": sentence}], "trackingId": tracking}
    headers = {"trackingid": tracking} | ({} if retry_after is None else {"Retry-After": retry_after})
    return web.json_response(body, status=status, headers=headers)


def single(values: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Form or query fields as a dictionary; raises ValueError for a field that comes twice or is a file."""
    fields: dict[str, str] = {}
    for name, value in values:
        if name in fields or not isinstance(value, str):
            raise ValueError(f"The field {name} must come once, as text.")
        fields[name] = value
    return fields
