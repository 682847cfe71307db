"""What the HTTP API's doors say of themselves: the OpenAPI description is made of these marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from app.api_models import NoOptions

F = TypeVar("F", bound=Callable[..., Any])
MARK = "_operation"


@dataclass(frozen=True)
class Operation:
    """One door: `errors` are the statuses that it may answer besides those that each may.

    `headers` have a sentence and a pattern, `cookies` a sentence.
    """

    query: type[BaseModel] = NoOptions
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    headers: dict[str, tuple[str, str]] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    content: tuple[str, ...] = ("application/json",)
    errors: tuple[int, ...] = ()
    # What it means where it answers 204 instead.
    nothing: str = ""


def operation(**what: Any) -> Callable[[F], F]:
    """Mark a view; its docstring's first sentence is the summary, the rest the description."""

    def mark(view: F) -> F:
        view.__dict__[MARK] = Operation(**what)
        return view

    return mark
