"""Followers while the store fails in between: a viewer misses nothing, the end least of all."""

from __future__ import annotations

import pytest

from app.errors import StoreUnavailable
from app.follow import Followers
from app.model import Run, Status
from app.stack import ThreadingStack
from app.viewer import Viewer
from tests.archiving import Node
from tests.waiting import wait_until


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("surprise")])
@pytest.mark.parametrize("step", ["get", "read"])
def test_a_failure_at_the_end_does_not_cost_the_final_status(
    node: Node, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    """While the end is on its way the run's record, or the log, cannot be read: the status comes once, and later."""
    run, data = node.printed(1000)
    stack = ThreadingStack()
    followers = Followers(stack, node.log, node.output, node.runs, is_local=lambda _run: False, message_bytes=65_536)
    texts: list[str] = []
    told: list[Run] = []
    viewer = Viewer(
        run.id,
        0,
        send_output=lambda piece: texts.append(piece.text),
        send_status=told.append,
        send_behind=lambda _end: None,
        has_room=lambda: True,
        window=65_536,
        wake=stack.signal(),
    )
    target, name = (node.runs, "get") if step == "get" else (node.output, "read")
    asked: list[int] = []
    real = getattr(target, name)

    def failing(*args: object) -> object:
        asked.append(1)
        if len(asked) in (1, 2, 4):
            raise error
        return real(*args)

    node.runs.finish(run.id, 1, Status.SUCCEEDED)
    monkeypatch.setattr(target, name, failing)
    followers.watch(viewer)
    wait_until(lambda: viewer.closed)
    assert len(asked) > 2
    assert "".join(texts) == data.decode()
    assert [each.status for each in told if each.status.final] == [Status.SUCCEEDED]
