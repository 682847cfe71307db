"""The server's log: each record is one line of JSON or of text on stderr, whatever is in the names that it shows."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from app import capture
from app.floods import Floods
from app.logstream import Lines, write_now

AUDIT = "app.audit"
# What a library says below this would be noise, and Socket.IO's would show what people send.
LEVELS = {
    "app": logging.INFO,
    "gunicorn.error": logging.WARNING,
    "engineio.server": logging.ERROR,
    "socketio.server": logging.ERROR,
    "celery": logging.WARNING,
    "kombu": logging.WARNING,
    "stdout": logging.INFO,
    "stderr": logging.INFO,
}
LONGEST_TEXT, LONGEST_TRACEBACK = 2_000, 20_000
HIDDEN = "*****"
# So often the same line of code may say something in so many seconds; audit records have a limit of their own.
MOST_ALIKE, ALIKE_SECONDS = 200, 60.0
# What Python's own records have; all else was given by `extra=`.
_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_SECRETS = re.compile(
    r"(?i)(bearer\s+|authorization[\"']?\s*[=:]\s*[\"']?\w+\s+|[?&](?:code|state)="
    r"|(?:access_token|refresh_token|client_secret|code_verifier)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;})]+"
)
_FALLBACK = logging.lastResort

_IN_RUN = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")

Fields = dict[str, Any]
_always: dict[str, str] = {}


class Redactor:
    """Takes secrets out of texts: the settings' own, and whatever stands where tokens and codes stand."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` without them."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _SECRETS.sub(rf"\1{HIDDEN}", text)


class RecordFormatter(logging.Formatter):
    """Makes a record's fields."""

    def __init__(self, redact: Redactor | None = None) -> None:
        super().__init__()
        self._redact = redact or Redactor()

    def fields(self, record: logging.LogRecord) -> Fields:
        """`time`, `level`, `logger`, `message`, what `extra=` gave, and `traceback` where there is one."""
        found: Fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": self._text(_message(record)),
            **_always,
        }
        for name, value in vars(record).items():
            if name not in _OWN and value not in (None, ""):
                found.setdefault(name, self._value(value))
        trouble = _traceback(record)
        if trouble:
            found["traceback"] = self._text(trouble, LONGEST_TRACEBACK)
        return found

    def _value(self, value: object) -> object:
        if isinstance(value, bool | int | float):
            return value
        if isinstance(value, list | tuple):
            return [self._value(each) for each in value[:100]]
        return self._text(value if isinstance(value, str) else _repr(value))

    def _text(self, text: str, limit: int = LONGEST_TEXT) -> str:
        # Cut only then: half a secret is not recognised.
        return cut(self._redact(text[: 10 * limit]), limit)


class JsonFormatter(RecordFormatter):
    """One object on one line, in ASCII: every control character of JSON's strings is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        return json.dumps(self.fields(record)).replace("\x7f", "\\u007f")


class TextFormatter(RecordFormatter):
    """One line for people; a traceback follows, indented, so that no line of it looks like a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines, without the last one's end."""
        fields = self.fields(record)
        head = f"{fields.pop('time')} {fields.pop('level')} {fields.pop('logger')}: {escape(fields.pop('message'))}"
        trouble = fields.pop("traceback", "")
        more = "".join(f" {name}={_shown(value)}" for name, value in fields.items())
        below = "".join(f"\n    {escape(line)}" for line in trouble.split("\n") if line)
        return head + more + below


class ServerHandler(logging.Handler):
    """Writes what the product and its server say; in a job's thread only warnings, into the run's own output."""

    def __init__(self, formatter: logging.Formatter, write: Callable[[str], object]) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._write = write
        self._floods: Floods[tuple[str, str, int]] = Floods(MOST_ALIKE, ALIKE_SECONDS)

    def createLock(self) -> None:  # noqa: N802 - logging's own name
        """None is needed, and the hub must wait for none: a thread that is ended in here would keep it for ever."""
        self.lock: Any = contextlib.nullcontext()

    def acquire(self) -> None:
        """Nothing to do."""

    def release(self) -> None:
        """Nothing to do."""

    def emit(self, record: logging.LogRecord) -> None:
        """As the base."""
        try:
            if record.name == AUDIT:
                self._write(self.format(record) + "\n")
            elif capture.in_run():
                self.emit_in_run(record)
            else:
                self._emit_here(record)
        except Exception:  # noqa: BLE001 - who logs has other worries than the log
            self.handleError(record)

    def _emit_here(self, record: logging.LogRecord) -> None:
        if self._floods.admit((record.name, record.pathname, record.lineno)):
            self._write(self.format(record) + "\n")
        for key, count in self._floods.over():
            more = logging.makeLogRecord(
                {"name": key[0] if key else "app", "levelno": logging.WARNING, "levelname": "WARNING"}
            )
            more.msg, more.args = "%d more records like one before were left out", (count,)
            self._write(self.format(more) + "\n")

    def emit_in_run(self, record: logging.LogRecord) -> None:
        """Show a record to those who watch the run."""
        if record.levelno >= logging.WARNING:
            sys.stderr.write(_IN_RUN.format(record) + "\n")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Not as the base, which would show the record's arguments."""
        kind = sys.exc_info()[0]
        write_now(f"a record of {escape(record.name)} cannot be written: {kind.__name__ if kind else ''}\n")


class _LastResort(ServerHandler):
    """For loggers that nobody has set up; what a job's thread says looks as in any script."""

    def emit_in_run(self, record: logging.LogRecord) -> None:
        if _FALLBACK is not None:
            _FALLBACK.handle(record)


def configure(style: str, write: Callable[[str], object] = write_now, secrets: tuple[str, ...] = ()) -> None:
    """Log in this process as `json` or `text`, by handlers of our own: the root logger is left to the jobs.

    What anybody else writes to the console, outside runs, becomes records too. May be called again.
    """
    formatter = (JsonFormatter if style == "json" else TextFormatter)(Redactor(secrets))
    handler = ServerHandler(formatter, write)
    for name, level in LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    # Where libraries' warnings go as long as no job has set up the root logger.
    logging.lastResort = _LastResort(formatter, write)
    logging.lastResort.setLevel(logging.WARNING)
    sys.stderr = Lines("stderr", logging.WARNING)
    if style == "json":
        sys.stdout = Lines("stdout", logging.INFO)
    _keep_crashes()


def always(**fields: str) -> None:
    """Every record of this process has these fields too."""
    _always.update(fields)


def _keep_crashes() -> None:
    before = threading.excepthook

    def thread_crashed(args: threading.ExceptHookArgs) -> None:
        if capture.in_run() or args.exc_type is SystemExit:
            before(args)
            return
        info = (args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
        logging.getLogger("app").error("a thread ended by an error", exc_info=info)

    def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logging.getLogger("app").critical("the process ends by an error", exc_info=(kind, error, trace))

    if getattr(before, "__module__", "") != __name__:
        threading.excepthook = thread_crashed
        sys.excepthook = crashed


def escape(text: str) -> str:
    r"""`text` on one line and without effect on a terminal: `\n`, `\x1b`, `\u202e` stand for such characters."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def cut(text: str, limit: int = LONGEST_TEXT) -> str:
    """`text`, or its beginning and end with a note of how much is left out."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}[... {len(text) - 2 * half} characters ...]{text[-half:]}"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_shown(each) for each in value)
    text = str(value)
    # Quoted where it could be taken for another field.
    return text if re.fullmatch(r"[\w.:/@+-]+", text, re.ASCII) else f'"{escape(text).replace(chr(34), chr(39))}"'


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - an argument's own text fails, or does not fit
        return f"{record.msg!s:.200} (its arguments cannot be shown)"


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - as above
        return f"<{type(value).__name__}>"


def _traceback(record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        try:
            parts += traceback.format_exception(*record.exc_info)
        except Exception:  # noqa: BLE001 - as above
            parts.append(f"{record.exc_info[0].__name__}, which cannot be shown\n")
    if record.stack_info:
        parts.append(record.stack_info)
    return "".join(parts)
