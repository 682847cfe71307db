"""Followers while the store fails in between: a viewer misses nothing, the end least of all."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable

import pytest

from app.errors import StoreUnavailable
from app.follow import Followers
from app.model import Run, Status, Stream
from app.stack import ThreadingStack
from app.viewer import Viewer
from tests.archiving import Node
from tests.waiting import took, wait_until

LIVE = (Status.QUEUED, Status.RUNNING, Status.STOPPING)


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


def told_of(
    node: Node, run: Run, followers: Followers, stack: ThreadingStack, *, has_room: Callable[[], bool] = lambda: True
) -> tuple[Viewer, list[Run]]:
    """A viewer that has come, and the statuses that it is told."""
    told: list[Run] = []
    viewer = Viewer(
        run.id,
        0,
        send_output=lambda _piece: None,
        send_status=told.append,
        send_behind=lambda _end: None,
        has_room=has_room,
        window=65_536,
        wake=stack.signal(),
        run=node.runs.get(run.id),
    )
    followers.watch(viewer)
    return viewer, told


def test_notes_tell_what_changed_and_nobody_asks(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress, Stop and the end reach a viewer in order by what their notes say; who comes later hears of the end."""
    run, stack = node.run(), ThreadingStack()
    followers = Followers(stack, node.log, node.output, node.runs, is_local=lambda _run: False, message_bytes=65_536)
    viewer, told = told_of(node, run, followers, stack)
    # The first is older than the viewer.
    wait_until(lambda: bool(told) and viewer.hungry)
    asked: list[str] = []
    real = node.runs.get

    def get(run_id: str) -> Run | None:
        asked.append(run_id)
        return real(run_id)

    monkeypatch.setattr(node.runs, "get", get)
    recorder = node.recorder(run)
    for done in (1.0, 2.0, 3.0):
        recorder.store(recorder.prepare([(Stream.OUT, b"more\n")]))
        node.runs.change(run.id, LIVE, progress=(done, 3.0))
        wait_until(functools.partial(lambda done: told[-1].progress == (done, 3.0), done))
    assert node.runs.ask_to_stop(run.id)
    wait_until(lambda: told[-1].status is Status.STOPPING)
    node.runs.finish(run.id, 1, Status.STOPPED, exit_code=130, signal="", message="enough \u2026", stage=None)
    wait_until(lambda: viewer.closed)
    assert asked == []
    assert told[-1] == real(run.id)
    assert [each.status for each in told] == [Status.QUEUED, *[Status.QUEUED] * 3, Status.STOPPING, Status.STOPPED]
    late, heard = told_of(node, run, followers, stack)
    wait_until(lambda: late.closed)
    assert heard == [real(run.id)]


def test_a_run_that_begins_here_is_told_to_run(node: Node) -> None:
    """Its turn comes, and its output right behind, by calls of this process: the viewer hears of both."""
    run, stack = node.run(), ThreadingStack()
    begun: list[str] = []
    followers = Followers(stack, node.log, node.output, node.runs, is_local=begun.__contains__, message_bytes=65_536)
    node.runs.on_change(followers.stir)
    node.log.on_append(followers.heard)
    viewer, told = told_of(node, run, followers, stack)
    wait_until(lambda: bool(told) and viewer.hungry)
    # As if the reader had just been busy with others.
    begun.append(run.id)
    recorder = node.recorder(run)
    times = []
    for number in range(20):
        node.runs.change(run.id, LIVE, status=Status.RUNNING, progress=(number, 20))
        recorder.store(recorder.prepare([(Stream.OUT, b"more\n")]))
        comes = functools.partial(lambda number: told[-1].progress == (number, 20), number)
        times.append(took(lambda comes=comes: wait_until(comes))[0])  # type: ignore[misc]
    # The reader, too, would bring them, within a second.
    assert sorted(times)[10] < 0.3
    node.runs.finish(run.id, 1, Status.SUCCEEDED)
    wait_until(lambda: viewer.closed)
    assert {each.status for each in told} == {Status.QUEUED, Status.RUNNING, Status.SUCCEEDED}


def test_a_server_that_stops_waits_for_those_who_watch(node: Node) -> None:
    """Until each was told the end of its run, but no longer than it may for one who takes nothing."""
    run, other, stack = node.run(), node.run(), ThreadingStack()
    followers = Followers(
        stack, node.log, node.output, node.runs, is_local=lambda run_id: run_id == run.id, message_bytes=65_536
    )
    takes = threading.Event()
    viewer, told = told_of(node, run, followers, stack, has_room=takes.is_set)
    elsewhere, _ = told_of(node, other, followers, stack)
    wait_until(lambda: followers.known(run.id) is not None and followers.known(other.id) is not None)
    watched = followers.watched_here()
    assert watched == {run.id}
    node.runs.finish(run.id, 1, Status.STOPPED)
    seconds, _ = took(lambda: followers.wait_until_told(watched, time.monotonic() + 0.3))
    assert 0.3 <= seconds < 20
    assert not viewer.closed
    threading.Timer(0.2, takes.set).start()
    followers.wait_until_told(watched, time.monotonic() + 20)
    assert told[-1].status is Status.STOPPED
    assert not elsewhere.closed
    elsewhere.close()
