"""The catalogue of jobs: loading them, and finding them by name."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Protocol

from pydantic import SecretStr

from app.decorator import MARK, Mark, job
from app.discovery import Loaded, Source, find_sources
from app.errors import JobBroken, NotFound
from app.limits import Rules
from app.masking import SHORTEST
from app.parameters import Parameters, read_signature
from app.texts import printable, text_of

__all__ = ["EXAMPLE", "Catalog", "Job", "job"]

EXAMPLE = "list_spaces"
_EXAMPLE_MODULE = f"app.{EXAMPLE}"
# Where there are processes; it has a page of its own.
_CODE_MODULE = "app.code_job"
# Where there is a broker.
_ECHO_MODULE = "app.celery_echo"
_LONGEST_NAME = 100
_LONGEST = 300  # characters of a message
_NAME = re.compile(rf"\w{{1,{_LONGEST_NAME}}}", re.ASCII)
_PASSWORD = re.compile(r"(://[^\s/@:]*:)[^\s/@]+@")


# Where nobody names a place, it need not be there: the default of the setting JOBS.
_OPTIONAL = frozenset({"jobs"})


class Places(Protocol):
    """What a catalogue takes from the settings, which it does not import: every run's process would have them."""

    @property
    def jobs(self) -> tuple[str, ...]:
        """Folders and modules."""

    @property
    def environment(self) -> str:
        """Where it is "development", files that were saved are loaded again."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job: what the page shows of a function and how to call it; `where` is its file and line.

    `injected` names what the function wants besides its parameters; a job with an `error` cannot be started.
    """

    name: str
    title: str
    where: str
    function: Callable[..., Any] = field(repr=False)
    summary: str = ""
    help: str = ""
    executor: str = "thread"
    is_async: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)
    rules: Rules = field(default=Rules(), repr=False)
    parameters: Parameters = field(default=Parameters((), frozenset()), repr=False)
    error: str | None = None

    @property
    def injected(self) -> frozenset[str]:
        """Which of `running`, `token`, `user` and `run` the function takes."""
        return self.parameters.injected

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the parameters, as `Parameters` describes it."""
        return self.parameters.schema

    def as_dict(self) -> dict[str, Any]:
        """The job as programs get it."""
        return {
            "name": self.name,
            "title": self.title,
            "summary": self.summary,
            "help": self.help,
            "executor": self.executor,
            "needs_token": "token" in self.injected,
            "error": self.error,
            "parameters": self.schema,
        }

    def parse(self, values: Mapping[str, object]) -> dict[str, Any]:
        """As Parameters.parse."""
        return self.parameters.parse(values)

    def to_json(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """As Parameters.to_json."""
        return self.parameters.to_json(params)


class Catalog:
    """All jobs by name; `executors` are those that this server has, `lacking` says of others what they would need."""

    def __init__(
        self, settings: Places, executors: Iterable[str] = ("thread",), lacking: Mapping[str, str] | None = None
    ) -> None:
        """Load every job file.

        Raises: ConfigError where a place that `JOBS` names is not there.
        """
        self._executors, self._lacking = tuple(executors), lacking or {}
        self._live = settings.environment == "development"
        self._hidden = _secrets_of(settings)
        built_in = {_EXAMPLE_MODULE: "thread", _CODE_MODULE: "process", _ECHO_MODULE: "celery"}
        here = [module for module, executor in built_in.items() if executor in self._executors]
        self._sources = find_sources((*here, *settings.jobs), _OPTIONAL)
        self._loaded = {source: source.load() for source in self._sources}
        self._guard = threading.Lock()
        self._last: dict[str, tuple[Job, ...]] = {}
        self._jobs: dict[str, Job] = {}
        self._build()

    def jobs(self) -> list[Job]:
        """Every job by title, broken ones too."""
        return sorted(self._jobs.values(), key=lambda each: (each.title.casefold(), each.name))

    def get(self, name: str) -> Job:
        """The job called `name`.

        Raises: NotFound; JobBroken with the reason.
        """
        found = self._jobs.get(name)
        if found is None:
            raise NotFound("There is no such job.")
        if found.error is not None:
            raise JobBroken(found.error)
        return found

    @property
    def example(self) -> Job:
        """The job that starts where none is named.

        Raises: JobBroken.
        """
        return self.get(EXAMPLE)

    def stale(self) -> bool:
        """In development: was a job file saved since? Costs a stat per file."""
        return self._live and any(source.changed() for source in self._sources)

    def refresh(self) -> None:
        """In development: load what was saved since; call it in a thread, as an import may take long."""
        if not self._live:
            return
        with self._guard:
            changed: list[Source] = [source for source in self._sources if source.changed()]
            for source in changed:
                self._loaded[source] = source.load()
            if changed:
                self._build()

    def _build(self) -> None:
        jobs: dict[str, Job] = {}
        found = [loaded for source in self._sources for loaded in self._loaded[source]]
        seen: set[int] = set()
        for loaded in found:
            if loaded.module is not None:
                made = tuple(self._make(loaded, function) for function in _marked(loaded, seen))
                self._last[loaded.label] = made
                for each in made:
                    _add(jobs, each)
        # broken files come last, since a name that a working job has is that job's
        for loaded in found:
            if loaded.module is None:
                for each in self._broken(loaded):
                    _add(jobs, each)
        self._jobs = jobs

    def _broken(self, loaded: Loaded) -> tuple[Job, ...]:
        error = self._hide(loaded.error)
        name = _plain(loaded.name)
        before = self._last.get(loaded.label) or (Job(name, loaded.label, loaded.label, _refuse(error)),)
        return tuple(_break(each, error) for each in before)

    def _make(self, loaded: Loaded, function: Callable[..., Any]) -> Job:
        mark: Mark = function.__dict__[MARK]
        where = f"{loaded.label}, line {function.__code__.co_firstlineno}"
        lines = (inspect.getdoc(function) or "").split("\n", 1)
        made = Job(
            name=function.__name__,
            title=mark.title,
            where=where,
            function=function,
            summary=lines[0].strip(),
            help=lines[1].strip() if len(lines) > 1 else "",
            executor=mark.executor,
            is_async=inspect.iscoroutinefunction(function),
            secrets=mark.secrets,
            rules=mark.rules,
        )
        try:
            self._check(made)
            return replace(made, parameters=read_signature(function))
        except JobBroken as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a decorator of the author's may have made anything of the function
            reason = f"{type(error).__name__}: {printable(text_of(error), _LONGEST)}"
        return _break(replace(made, name=_plain(made.name)), self._hide(f"{where}: {reason}"))

    def _hide(self, error: str) -> str:
        for text in self._hidden:
            error = error.replace(text, "***")
        return _PASSWORD.sub(r"\1***@", error)

    def _check(self, made: Job) -> None:
        if not _NAME.fullmatch(made.name):
            raise JobBroken(f"the function's name `{made.name}` should have letters a to z, digits and `_` alone")
        if made.executor not in self._executors:
            names = ", ".join(f'"{name}"' for name in self._executors)
            reason = self._lacking.get(made.executor) or f"this server has: {names}"
            raise JobBroken(f'executor "{made.executor}" is not available here; {reason}')
        if inspect.isgeneratorfunction(made.function) or inspect.isasyncgenfunction(made.function):
            raise JobBroken("a job has no `yield`: what it prints is its output")


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)[:_LONGEST_NAME]


def _marked(loaded: Loaded, seen: set[int]) -> list[Callable[..., Any]]:
    found: list[Callable[..., Any]] = []
    for value in list(vars(loaded.module).values()):
        if inspect.isfunction(value) and MARK in value.__dict__ and id(value) not in seen:
            seen.add(id(value))
            found.append(value)
    return found


def _add(jobs: dict[str, Job], new: Job) -> None:
    first = jobs.get(new.name)
    if first is not None:
        number = next(number for number in range(2, len(jobs) + 3) if f"{new.name}-{number}" not in jobs)
        error = new.error or f"{new.where}: a job called `{new.name}` is in {first.where} already; rename one of them"
        new = replace(_break(new, error), name=f"{new.name}-{number}")
    jobs[new.name] = new


def _break(whole: Job, error: str) -> Job:
    return replace(whole, error=error, function=_refuse(error))


def _refuse(error: str) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise JobBroken(error)

    return refuse


def _secrets_of(settings: Places) -> tuple[str, ...]:
    values = [value for each in vars(settings).values() for value in (each if isinstance(each, tuple) else (each,))]
    texts = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    return tuple(text for text in texts if len(text) >= SHORTEST)
