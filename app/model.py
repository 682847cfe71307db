"""The nouns of the product: users, runs, their status, and the records of a run's output."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Where a run is in its life; the last six are final, and a run gets exactly one of them."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    KILLED = "killed"
    TIMED_OUT = "timed out"
    LOST = "lost"

    @property
    def final(self) -> bool:
        """True where the run has ended."""
        return self not in _LIVE


_LIVE = (Status.QUEUED, Status.RUNNING, Status.STOPPING)


class Stream(StrEnum):
    """Which of a run's two outputs a record came from."""

    OUT = "out"
    ERR = "err"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who logged in: the provider's id, the name shown, the first e-mail address."""

    id: str
    name: str
    email: str

    @property
    def label(self) -> str:
        """The user as pages show it: `displayName (email)`."""
        return f"{self.name} ({self.email})" if self.email else self.name


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a job by a user; times are seconds since the epoch, `position` is in bytes.

    `omitted` counts bytes that its writer had to leave out; what a cap removes is not in it. `stage` is how far a Stop
    has come: its `name` ("ask", "interrupt", "terminate", "kill", "raise", "ignored") and, where another follows,
    its `next` and the time `until` then. `signal` names what ended the run's process ("SIGSEGV"). `queue` is where it
    waits for its turn, until its job has fewer runs than `job_limit` and its user than `user_limit` (0: any number).
    `asks` is the prompt of an `input()` that waits for its line, None where none does.
    """

    id: str
    job: str
    title: str
    user: User
    status: Status
    created: float
    executor: str
    params: dict[str, Any] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    message: str = ""
    progress: tuple[float, float] | None = None
    position: int = 0
    epoch: int = 0
    node: str = ""
    omitted: int = 0
    stage: dict[str, Any] | None = None
    signal: str = ""
    queue: str = ""
    job_limit: int = 0
    user_limit: int = 0
    asks: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The run as doors send it."""
        return {
            "id": self.id,
            "job": self.job,
            "title": self.title,
            "user": self.user.label,
            "status": str(self.status),
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "exit_code": self.exit_code,
            "message": self.message,
            "progress": self.progress,
            "position": self.position,
            "params": self.params,
            "executor": self.executor,
            "stage": self.stage,
            "signal": self.signal,
            "queue": self.queue,
            "asks": self.asks,
        }


@dataclass(frozen=True, slots=True)
class Token:
    """What a user's login gave us; the times are seconds since the epoch, `refresh_expires` 0 where unknown.

    Without a `refresh` token the access token cannot be renewed. Its text hides the secrets.
    """

    access: str = field(repr=False)
    obtained: float
    expires: float
    refresh: str = field(default="", repr=False)
    refresh_expires: float = 0.0

    @property
    def secrets(self) -> tuple[str, ...]:
        """The strings that nobody may read."""
        return (self.access, self.refresh) if self.refresh else (self.access,)


@dataclass(frozen=True, slots=True)
class Admission:
    """What lets a caller in: a key that has to be in the store, and lasts for so many seconds from each use on."""

    key: str
    seconds: int


class Kind(StrEnum):
    """What a record is: bytes of output, a hole that is known, news of the run's status, or the run's end."""

    OUTPUT = "output"
    OMITTED = "omitted"
    STATUS = "status"
    END = "end"


@dataclass(frozen=True, slots=True)
class Record:
    """A piece of a run's log; it ends at byte offset `position`, and `sequence` orders those without bytes there.

    `data` is empty but for output; `line` numbers its first line in the whole output, from 1. `omitted` counts bytes
    that are not stored, on purpose where `reason` is a text for people, else because they were lost. `changes` are
    what a note tells of the run as it was then: its fields that change at all, or nothing.
    """

    position: int
    sequence: int = 0
    kind: Kind = Kind.OUTPUT
    data: bytes = b""
    stream: Stream = Stream.OUT
    time: float = 0.0
    line: int = 0
    omitted: int = 0
    reason: str = ""
    changes: dict[str, Any] | None = None

    @property
    def start(self) -> int:
        """The byte offset of the first byte."""
        return self.position - len(self.data) - self.omitted

    @property
    def cursor(self) -> tuple[int, int]:
        """Where a reader stands after this record."""
        return (self.position, self.sequence)


def new_id() -> str:
    """A fresh id of 128 random bits, as 22 URL-safe characters."""
    return secrets.token_urlsafe(16)
