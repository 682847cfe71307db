"""Runs as Redis has them: a hash of texts a run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from app.model import Run, Status, User


def texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a hash takes them; None is the empty text."""
    return {
        name: json.dumps(value) if isinstance(value, (dict, list, tuple)) else "" if value is None else value
        for name, value in values.items()
    }


def flat(fields: Mapping[str, Any]) -> list[Any]:
    """Names and values in turn, as scripts take them."""
    return [each for pair in fields.items() for each in pair]


def fields_of(run: Run) -> dict[str, Any]:
    """The hash of a run that is new."""
    values = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    del values["id"], values["ended"]
    values["user"] = dataclasses.astuple(run.user)
    return texts(values)


def run_of(run_id: str, fields: Mapping[bytes, bytes]) -> Run | None:
    """The run that a hash has; None where there is none."""
    if not fields:
        return None
    found = {name.decode(): value.decode() for name, value in fields.items()}
    return Run(
        id=run_id,
        job=found["job"],
        title=found["title"],
        user=User(*json.loads(found["user"])),
        created=float(found["created"]),
        executor=found["executor"],
        params=json.loads(found["params"]),
        queue=found.get("queue", ""),
        job_limit=int(found.get("job_limit", 0)),
        user_limit=int(found.get("user_limit", 0)),
        **_changing(found),
    )


def changes_of(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What a note tells of a run, for `dataclasses.replace`; nothing where it tells nothing."""
    return _changing({name.decode(): value.decode() for name, value in fields.items()}) if b"status" in fields else {}


def _changing(found: Mapping[str, str]) -> dict[str, Any]:
    """The values of what app/store/note_scripts.py names as CHANGING."""

    def number(name: str) -> float | None:
        return float(found[name]) if found.get(name) else None

    def loaded(name: str) -> Any:
        return json.loads(found[name]) if found.get(name) else None

    # In a list, as the store cannot tell no text from an empty one.
    asked = loaded("asks")
    code, progress = number("exit_code"), loaded("progress")
    return {
        "status": Status(found["status"]),
        "started": number("started"),
        "ended": number("ended"),
        "exit_code": None if code is None else int(code),
        "message": found["message"],
        "progress": tuple(progress) if progress else None,
        "position": int(found["position"]),
        "epoch": int(found["epoch"]),
        "node": found["node"],
        "omitted": int(found.get("omitted", 0)),
        "stage": loaded("stage"),
        "signal": found.get("signal", ""),
        "asks": asked[0] if asked and not found.get("ended") else None,
    }
