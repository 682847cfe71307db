"""Frames: what goes straight into a websocket is what its own library would send and understand."""

from __future__ import annotations

import os
import queue
import threading

import pytest
from eventlet.websocket import RFC6455WebSocket
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from app.frames import frame, unmasked, watched_queue
from tests.waiting import wait_until

SIZES = (0, 1, 3, 4, 5, 125, 126, 127, 65_535, 65_536, 200_003)


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_is_what_a_client_reads(size: int) -> None:
    """At each border of the lengths the whole text comes out, in one frame, and nothing is left."""
    text = b"x" * size
    client = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=None)
    client.receive_data(frame(b"4", b"2", text))
    (read,) = client.events_received()
    assert isinstance(read, Frame)
    assert (read.opcode, read.fin, bytes(read.data)) == (Opcode.TEXT, True, b"42" + text)
    assert not client.data_to_send()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 7])
def test_unmasking_is_that_of_the_library(size: int, offset: int) -> None:
    """The same bytes at each offset, also where only a part is wanted."""
    data, mask = os.urandom(size), os.urandom(4)
    theirs = RFC6455WebSocket._apply_mask
    assert unmasked(data, mask, offset=offset) == theirs(data, mask, offset=offset)
    assert unmasked(data, mask, size // 2, offset) == theirs(data, mask, size // 2, offset)


def test_a_queue_is_idle_only_while_its_reader_waits() -> None:
    """Neither before anybody reads, nor from the moment when something is put until the reader comes back."""
    watched = watched_queue(queue.Queue)()
    assert not watched.idle
    came, go = threading.Event(), threading.Event()

    def read() -> None:
        watched.get()
        came.set()
        go.wait(10)
        watched.get()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    wait_until(lambda: watched.idle)
    watched.put("something")
    assert not watched.idle
    assert came.wait(10)
    assert not watched.idle
    go.set()
    wait_until(lambda: watched.idle)
    watched.put("the end")
    reader.join(10)
    assert not watched.idle
