"""Turns of pages: the newest alone, in order, a slice at a time, nothing for who does not read."""

from __future__ import annotations

from typing import Any

import pytest

from app import audience
from app.audience import SLICE, Audience
from app.model import User
from app.sockets import Socket
from app.stack import ThreadingStack
from app.wire import QUEUE_PACKETS, Encoded, encode

ANN = User("ann", "Ann", "")


class Wire:
    """What pages get, which of them are greeted, and whose way is free."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Encoded]] = []
        self.waits: dict[str, int] = {}
        self.ungreeted: set[str] = set()

    def is_greeted(self, sid: str, _namespace: str) -> bool:
        """As Wire.is_greeted."""
        return sid not in self.ungreeted

    def has_room(self, address: str, most: int) -> bool:
        """As Wire.has_room."""
        return self.waits.get(address, 0) < most

    def send(self, address: str, event: Encoded) -> None:
        """As Wire.send."""
        self.sent.append((address, event))


def _socket(number: int) -> Socket:
    return Socket(f"s{number}", "/status", f"a{number}", "session", ANN)


def _event(number: int) -> Encoded:
    return encode("state", {"number": number}, "/status")


@pytest.fixture
def wire() -> Wire:
    """The way to the pages."""
    return Wire()


def _audience(wire: Any, count: int) -> Audience:
    made = Audience(ThreadingStack(), wire)
    for number in range(count):
        made.enter(_socket(number))
    return made


def test_an_event_goes_out_as_socketio_has_it() -> None:
    """With its namespace, as a frame and as a packet; one of the default namespace without."""
    event = _event(1)
    assert event.frame[2:] == b'42/status,["state",{"number":1}]'
    assert event.packet.encode() == '42/status,["state",{"number":1}]'
    assert Encoded(b'["a",1]').packet.encode() == '42["a",1]'


def test_each_page_has_a_turn_a_slice_at_a_time(wire: Wire) -> None:
    """All get the same event, encoded once, in the order in which they came."""
    pages = _audience(wire, 2 * SLICE + 1)
    assert not pages.tell_some(), "nothing was said yet"
    event = _event(1)
    pages.publish(event)
    assert [pages.tell_some() for _ in range(3)] == [True, True, False]
    assert wire.sent == [(f"a{number}", event) for number in range(2 * SLICE + 1)]
    assert not pages.tell_some()
    assert len(wire.sent) == 2 * SLICE + 1


def test_who_waits_gets_the_newest_and_nobody_is_passed_over(wire: Wire) -> None:
    """News faster than turns: each page still has its turn before any has a second one, and is told what is newest."""
    pages = _audience(wire, 3 * SLICE)
    for number in range(6):
        pages.publish(_event(number))
        pages.tell_some()
    told = [address for address, _ in wire.sent]
    assert sorted(told[: 3 * SLICE]) == sorted(f"a{number}" for number in range(3 * SLICE))
    assert told[3 * SLICE :] == told[: 3 * SLICE]
    assert b'{"number":5}' in wire.sent[-1][1].frame


def test_a_page_whose_way_is_not_free_is_told_later_and_once(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is queued behind what waits; with room it gets the newest, and after long patience behind little else."""
    pages = _audience(wire, 2)
    wire.waits["a0"] = 1
    for number in range(3):
        pages.publish(_event(number))
        assert not pages.tell_some()
        pages.try_again()
        assert not pages.tell_some()
    assert [address for address, _ in wire.sent] == ["a1"] * 3
    wire.waits["a0"] = 0
    pages.try_again()
    pages.tell_some()
    assert wire.sent[-1][0] == "a0"
    assert b'{"number":2}' in wire.sent[-1][1].frame
    # One that is always busy, but takes.
    wire.waits["a0"] = 2
    monkeypatch.setattr(audience, "PATIENCE_SECONDS", -1.0)
    pages.publish(_event(3))
    pages.tell_some()
    assert b'{"number":3}' in wire.sent[-2][1].frame
    wire.waits["a0"] = QUEUE_PACKETS
    pages.publish(_event(4))
    pages.tell_some()
    assert [address for address, _ in wire.sent[-1:]] == ["a1"]


def test_a_page_is_told_after_it_was_greeted_and_not_after_it_left(wire: Wire) -> None:
    """Who has no answer to its connection yet keeps its turn; who has gone has none."""
    pages = _audience(wire, 3)
    wire.ungreeted = {"s0"}
    pages.publish(_event(1))
    pages.leave("s1")
    pages.leave("nobody")
    assert pages.tell_some()
    assert [address for address, _ in wire.sent] == ["a2"]
    wire.ungreeted = set()
    assert not pages.tell_some()
    assert [address for address, _ in wire.sent] == ["a2", "a0"]
    assert len(pages) == 2
