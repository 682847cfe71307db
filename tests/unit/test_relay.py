"""The relay: what is stored beside its caller stays in order, bounded, and its errors come back."""

from __future__ import annotations

import threading

import pytest

from app.capture.relay import Relay
from app.stack import ThreadingStack


def test_pieces_are_stored_in_order_and_one_at_a_time() -> None:
    """A thousand pieces come out as they went in, and `finish` waits for the last."""
    stored: list[int] = []
    inside = threading.Lock()

    def store(piece: int) -> None:
        assert inside.acquire(blocking=False)
        stored.append(piece)
        inside.release()

    relay = Relay(store, ThreadingStack())
    for number in range(1000):
        relay.hand_over(number)
    relay.finish()
    assert stored == list(range(1000))


def test_one_piece_waits_at_most() -> None:
    """While a piece is being stored another one may wait, and whoever brings a third one waits himself."""
    go, third = threading.Event(), threading.Event()
    relay: Relay[int] = Relay(lambda _piece: go.wait(10), ThreadingStack())

    def bring() -> None:
        for number in range(3):
            relay.hand_over(number)
        third.set()

    threading.Thread(target=bring, daemon=True).start()
    assert not third.wait(0.3)
    go.set()
    assert third.wait(5)
    relay.finish()


def test_an_error_comes_back_to_whoever_hands_over() -> None:
    """What storing raises is raised at the next call, and nothing is stored after it."""
    stored: list[int] = []

    def store(piece: int) -> None:
        stored.append(piece)
        raise ValueError("the store is broken")

    relay = Relay(store, ThreadingStack())
    relay.hand_over(1)
    with pytest.raises(ValueError, match="broken"):
        relay.finish()
    with pytest.raises(ValueError, match="broken"):
        relay.hand_over(2)
    assert stored == [1]
