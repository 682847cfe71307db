"""The supervisor's end of a job's control socket, as the job ends."""

from __future__ import annotations

import select
import socket
from typing import Any

from app.supervise.talk import Talk


def test_what_a_job_said_as_its_last_is_heard_after_it_was_told_something() -> None:
    """It has gone, and is told something that nobody hears: what it said before is still there."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    heard: list[dict[str, Any]] = []
    poll = select.poll()
    talk = Talk(ours, poll, heard.append)
    theirs.sendall(b'{"say": "progress", "progress": [1, 1]}\n{"say": "ended", "exit_code": 1, "message": "x"}\n')
    theirs.close()
    for _ in range(3):
        talk.say(do="input", line="too late")
    while found := poll.poll(0):
        for _, events in found:
            talk.attend(events)
    assert [message["say"] for message in heard] == ["progress", "ended"]
    assert ours.fileno() < 0
