"""Pages of a user's runs: filtered, newest first, each with a cursor to the next."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Collection

from app.console import Console
from app.errors import BadRequest
from app.model import Run, Status, User

READ_RUNS = 200
# A page is answered after so many were looked at, however few of them were wanted.
MOST_LOOKED_AT = 2000


def page_of(
    console: Console, user: User, *, job: str | None, statuses: Collection[Status], limit: int, cursor: str | None
) -> tuple[list[Run], str | None]:
    """Up to `limit` runs behind a cursor, and the cursor to what follows; None at the end.

    Raises: BadRequest for a cursor that is none.
    """
    before, found, looked_at = _moment(cursor), [], 0
    while looked_at < MOST_LOOKED_AT:
        some = console.runs(user, limit=READ_RUNS, before=before)
        for run in some:
            looked_at, before = looked_at + 1, run.created
            if (job is None or run.job == job) and (not statuses or run.status in statuses):
                found.append(run)
                if len(found) == limit:
                    return found, _cursor(before)
        if len(some) < READ_RUNS:
            return found, None
    return found, _cursor(before or 0.0)


def _cursor(moment: float) -> str:
    return base64.urlsafe_b64encode(struct.pack(">d", moment)).decode().rstrip("=")


def _moment(cursor: str | None) -> float | None:
    if cursor is None:
        return None
    try:
        moment: float = struct.unpack(">d", base64.b64decode(f"{cursor}=", altchars=b"-_", validate=True))[0]
    except (ValueError, struct.error):
        raise BadRequest("cursor: expected `next` of another answer") from None
    # Who makes a cursor up gets a page all the same, of what is before nothing.
    return -math.inf if math.isnan(moment) else moment
