"""The built-in job `code`: what somebody typed in the browser, in a process behind a sandbox's walls."""

from __future__ import annotations

from typing import Annotated, NoReturn

from pydantic import Field

from app.catalog import job
from app.errors import SandboxRefused

LONGEST_CODE = 100_000


@job(title="Typed code", executor="process")
def code(source: Annotated[str, Field(max_length=LONGEST_CODE, description="Python code.")]) -> NoReturn:
    """Runs Python code that you type.

    Behind the walls of a sandbox: docs/sandbox.md. The value of its last expression is shown.
    """
    # Supervisors have a command in a sandbox for this job, and never call it.
    del source
    raise SandboxRefused("Typed code runs in a sandbox or not at all.")
