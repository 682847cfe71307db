"""Channels as runs set them: an older value never takes a newer one's place."""

from __future__ import annotations

import threading
from typing import Any, cast

from app.channel_writer import ChannelWriter
from app.errors import StoreUnavailable
from app.masking import Masker
from app.stack import ThreadingStack
from tests.waiting import wait_until


class Hanging:
    """A store whose first call hangs until `go`, and then fails; `values` are what it has."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.sets: list[dict[str, str]] = []
        self.hangs, self.go = threading.Event(), threading.Event()

    def set(self, values: dict[str, str]) -> None:
        """As ChannelStore.set."""
        if not self.hangs.is_set():
            self.hangs.set()
            self.go.wait(60)
            raise StoreUnavailable
        self.values |= values
        self.sets.append(values)


def test_a_value_that_hung_is_not_stored_over_a_newer_one() -> None:
    """One run's call hangs on its connection and fails; meanwhile another run has set the channel."""
    store = Hanging()
    writer = ChannelWriter(ThreadingStack(), cast("Any", store))
    slow = threading.Thread(target=writer.set, args=("a", "1", Masker()))
    slow.start()
    assert store.hangs.wait(20)
    writer.set("a", "2", Masker())
    store.go.set()
    slow.join(20)
    writer.set("b", "3", Masker())
    wait_until(lambda: "b" in store.values)
    assert store.values == {"a": "2", "b": "3"}


def test_a_value_that_could_not_be_stored_is_stored_later() -> None:
    """Where nobody has set the channel since, it is the newest."""
    store = Hanging()
    store.go.set()
    ChannelWriter(ThreadingStack(), cast("Any", store)).set("a", "1", Masker())
    wait_until(lambda: store.values == {"a": "1"})


def test_a_value_that_waited_is_newer_than_one_that_hung() -> None:
    """Another call has failed meanwhile, so that the newer value was stored later: it stays."""
    store = Hanging()
    writer = ChannelWriter(ThreadingStack(), cast("Any", store))
    slow = threading.Thread(target=writer.set, args=("a", "1", Masker()))
    slow.start()
    assert store.hangs.wait(20)
    with writer._guard:
        writer._waiting["b"] = "0"
    writer.set("a", "2", Masker())
    wait_until(lambda: store.values == {"a": "2", "b": "0"} and not writer._waiting)
    store.go.set()
    slow.join(20)
    writer.set("c", "3", Masker())
    wait_until(lambda: "c" in store.values)
    assert store.values == {"a": "2", "b": "0", "c": "3"}
