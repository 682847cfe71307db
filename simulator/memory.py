"""What the stand-in allowed, kept in a file: a login outlives the stand-in's restart, as Webex outlives a client's."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from simulator.grants import Grants

CHANGING = ("/access_token", "/revoke")


def remember(path: Path) -> Grants:
    """The grants of an earlier life; none where the file is missing or holds something else."""
    try:
        kept = json.loads(path.read_text())
        return Grants.restore(kept)
    except FileNotFoundError:
        return Grants()
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        sys.stderr.write(f"The Webex stand-in cannot read {path} and starts without the logins in it.\n")
        return Grants()


def keep(path: Path, grants: Callable[[], Grants], app: web.Application) -> None:
    """Have `app` write the file, readable by its owner alone, whenever tokens have changed."""

    async def changed(request: web.Request, _response: web.StreamResponse) -> None:
        if request.path.endswith(CHANGING):
            _write(path, grants().kept())

    app.on_response_prepare.append(changed)


def _write(path: Path, kept: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        json.dump(kept, file)
    fresh.replace(path)
