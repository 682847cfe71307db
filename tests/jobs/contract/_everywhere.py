"""What makes a function of the contract a job of each executor, called `NAME_EXECUTOR`."""

from __future__ import annotations

import types

from app.catalog import job

EXECUTORS = ("thread", "process", "celery")


def everywhere(*executors, **options):
    """Make the function a job of each of these executors, by default of all."""

    def mark(function):
        for executor in executors or EXECUTORS:
            name = f"{function.__name__}_{executor}"
            copy = types.FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
            copy.__kwdefaults__, copy.__annotations__ = function.__kwdefaults__, function.__annotations__
            copy.__doc__, copy.__module__ = function.__doc__, function.__module__
            function.__globals__[name] = job(executor=executor, **options)(copy)
        return function

    return mark
