"""The one tree of errors: each has a stable code for programs, an HTTP status and a sentence for people."""

from __future__ import annotations

from typing import Any, ClassVar


class RealtimeError(Exception):
    """Base of every error that may reach a user; its text is safe to show."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500

    def as_dict(self) -> dict[str, Any]:
        """The error as doors send it: `code` and `message`."""
        return {"code": self.code, "message": str(self)}


class ConfigError(RealtimeError):
    """A setting is missing or wrong; the text names the setting."""

    code = "config"


class BadRequest(RealtimeError):
    """A message has the wrong shape."""

    code = "bad_request"
    http_status = 400


class InvalidParameters(RealtimeError):
    """A job's parameters are wrong; `fields` maps each wrong field to a sentence."""

    code = "invalid_parameters"
    http_status = 422

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("Please correct: " + ", ".join(sorted(fields)))
        self.fields = fields

    def as_dict(self) -> dict[str, Any]:
        """As the base, with the sentences by field."""
        return {**super().as_dict(), "fields": self.fields}


class LoginRequired(RealtimeError):
    """Nobody is logged in, or the login has ended."""

    code = "login_required"
    http_status = 401


class Forbidden(RealtimeError):
    """The user may see the thing but not do this to it."""

    code = "forbidden"
    http_status = 403


class NotFound(RealtimeError):
    """There is no such thing, or none that this user may know of: the two answer alike."""

    code = "not_found"
    http_status = 404


class NoSubscription(NotFound):
    """A stream is asked for without the cookie of `set_stream`, or with one that has expired or is another user's."""

    code = "no_subscription"

    def as_dict(self) -> dict[str, Any]:
        """As the base, with the sentence under the name that streams' readers know."""
        return {**super().as_dict(), "Error": str(self)}


class JobBroken(RealtimeError):
    """The job's file cannot be loaded; the text says why."""

    code = "job_broken"
    http_status = 409


class NotWaiting(RealtimeError):
    """Something was typed for a run that reads no input, or no more."""

    code = "not_waiting"
    http_status = 409


class KeyReused(RealtimeError):
    """A start's key was used before, for another start."""

    code = "key_reused"
    http_status = 422


class TooMany(RealtimeError):
    """A limit is reached; the text says which and what to do, `retry_after` (seconds) when to try again."""

    code = "too_many"
    http_status = 429

    def __init__(self, text: str, retry_after: int = 5) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class SandboxRefused(RealtimeError):
    """Typed code cannot be isolated here as the settings ask for; the text says so."""

    code = "sandbox_refused"
    http_status = 503


class ServerStopping(RealtimeError):
    """The server is about to end and starts no more runs."""

    code = "server_stopping"
    http_status = 503


class ServerFull(RealtimeError):
    """The server has as many streams as it can hold."""

    code = "server_full"
    http_status = 503


class StoreUnavailable(RealtimeError):
    """Redis is out of reach, full, or cannot write: nothing can be stored now; the text says why."""

    code = "store_unavailable"
    http_status = 503


class BrokerUnavailable(RealtimeError):
    """The broker of Celery runs is out of reach; they wait, and begin when it is back."""

    code = "broker_unavailable"
    http_status = 503


class WorkerUnavailable(RealtimeError):
    """Nobody is up who could do this; the text says what to start, or to set."""

    code = "worker_unavailable"
    http_status = 503


class ProviderUnavailable(RealtimeError):
    """The login provider does not answer, or answers with an error of its own."""

    code = "provider_unavailable"
    http_status = 503


class LoginAgain(RealtimeError):
    """The user's token has ended and cannot be refreshed: a new login is needed."""

    code = "login_again"
    http_status = 401


class Fenced(RealtimeError):
    """A writer's epoch is over, or its run has its final status: the write is refused."""

    code = "fenced"
    http_status = 409
