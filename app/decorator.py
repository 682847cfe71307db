"""The decorator that makes a function a job."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from app.limits import Rules, make_rules
from app.masking import SHORTEST

MARK = "__realtime_job__"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Mark:
    """What `@job` leaves on a function."""

    title: str
    executor: str
    secrets: tuple[str, ...] = field(repr=False)
    rules: Rules


@overload
def job(function: F, /) -> F: ...
@overload
def job(
    title: str | None = None,
    executor: str = "thread",
    secrets: Iterable[str] = (),
    *,
    at_once: int = 0,
    queue: str = "",
    grace: float | None = None,
    **limits: float,
) -> Callable[[F], F]: ...
def job(
    title: Any = None,
    executor: str = "thread",
    secrets: Iterable[str] = (),
    *,
    at_once: int = 0,
    queue: str = "",
    grace: float | None = None,
    **limits: float,
) -> Any:
    """Make a plain or async function a job: `@job`, or `@job(title=..., executor=..., secrets=..., ...)`.

    The function stays as it is. `title` is the page's heading (by default the function's name); `secrets` are texts of
    at least 6 characters that no output may show; the others are those of `Rules` and `Limits`.

    Raises: TypeError or ValueError where an argument is wrong: the file then shows as broken.
    """
    if inspect.isfunction(title):
        return job()(title)
    if title is not None and not isinstance(title, str):
        raise TypeError("@job: the title should be a text")
    texts = _check_secrets(secrets)
    rules = make_rules(at_once=at_once, queue=queue, grace=grace, **limits)

    def mark(function: F) -> F:
        if not inspect.isfunction(function):
            raise TypeError("@job stands above a function")
        heading = " ".join((title or function.__name__.replace("_", " ")).split())
        heading = heading[:1].upper() + heading[1:]
        function.__dict__[MARK] = Mark(title=heading, executor=executor, secrets=texts, rules=rules)
        return function

    return mark


def _check_secrets(secrets: Iterable[str]) -> tuple[str, ...]:
    if isinstance(secrets, str):
        raise TypeError("@job: secrets should be a list of texts, not one text")
    texts = tuple(secrets)
    if any(not isinstance(text, str) or len(text) < SHORTEST for text in texts):
        raise ValueError(f"@job: each secret should be a text of at least {SHORTEST} characters")
    return texts
