"""A job's questions to its supervisor: each gets its own answer, at once, whichever thread takes it in."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.child.control import POLL_SECONDS, Control
from tests.waiting import took, wait_until

QUESTIONS = 2000


class Supervisor:
    """The other end: answers by hand."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._file = connection, connection.makefile("rb")

    def hear(self) -> dict[str, Any]:
        """The next message of the job's."""
        message: dict[str, Any] = json.loads(self._file.readline())
        return message

    def say(self, **message: Any) -> None:
        """Tell the job something."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")


@pytest.fixture
def ends() -> Iterator[tuple[Control, Supervisor]]:
    """Both."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Control(ours), Supervisor(theirs)


def test_who_waits_is_woken_by_whoever_takes_the_answer(ends: tuple[Control, Supervisor]) -> None:
    """A thread that asks `running()` all the time takes the answers of others, who have them at once all the same."""
    control, supervisor = ends
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            control.running()

    def answer() -> None:
        for number in range(QUESTIONS):
            assert supervisor.hear() == {"say": "token?"}
            supervisor.say(do="token", token=f"token {number}")

    threads = [threading.Thread(target=each, daemon=True) for each in (look, answer)]
    for thread in threads:
        thread.start()
    times, tokens = zip(*(took(control.token) for _ in range(QUESTIONS)), strict=True)
    over.set()
    for thread in threads:
        thread.join(10)
    assert tokens == tuple(f"token {number}" for number in range(QUESTIONS))
    # A machine may stand still for a moment.
    assert sum(each > 0.8 * POLL_SECONDS for each in times) <= 3


def test_an_interrupted_question_leaves_no_answer_to_the_next(
    ends: tuple[Control, Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop comes while a channel is set, and what cleans up sets it again: that comes back when its own is set."""
    control, supervisor = ends
    wait_for = control.wait_for

    def interrupted(_what: str) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(control, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        control.channel("X", "1")
    monkeypatch.setattr(control, "wait_for", wait_for)
    done = threading.Event()

    def last() -> None:
        control.channel("X", "2")
        done.set()

    thread = threading.Thread(target=last, daemon=True)
    thread.start()
    said = [supervisor.hear() for _ in range(2)]
    assert [(each["value"], each["number"]) for each in said] == [("1", 1), ("2", 2)]
    supervisor.say(do="channel", number=1)
    assert not done.wait(0.3)
    supervisor.say(do="channel", number=2)
    wait_until(done.is_set)
    thread.join(10)
