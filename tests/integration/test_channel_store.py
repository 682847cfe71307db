"""Channels in the store and on their way to streams, on both stacks: order, gaps, slow readers, outages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.channel_feed import MOST_WAITING, ChannelFeed, Event, Listener
from app.channel_writer import ChannelWriter
from app.config import Settings, load_settings
from app.errors import StoreUnavailable, TooMany
from app.masking import Masker
from app.stack import Stack, ThreadingStack
from app.store.channels import CHANGES, MOST_CHANGES, ChannelStore
from app.store.connection import connect
from app.store.subscriptions import MOST_PER_USER, Subscriptions
from tests.killable import Valkey

MOST_SILENCES = 200


def _settings(url: str, **more: float) -> Settings:
    return load_settings(None, redis_url=url, channels=5000, **more)


@pytest.fixture
def settings(valkey_url: str) -> Settings:
    """An empty store's."""
    return _settings(valkey_url)


@pytest.fixture
def store(stack: Stack, settings: Settings) -> ChannelStore:
    """Channels, on each stack."""
    return ChannelStore(settings, stack, connect(settings, stack))


def _take(events: Iterator[Event], count: int) -> list[Any]:
    """Values of so many changes."""
    found: list[Any] = []
    while len(found) < count:
        name, value = next(events)
        assert name in ("change", "silence"), (name, value)
        if name == "change":
            found.append(value.value)
    return found


def _begun(feed: ChannelFeed, *names: str, silence: float = 0.05) -> tuple[Listener, Iterator[Event]]:
    listener = feed.listen(names, silence)
    feed.join(listener)
    listener.begin(None)
    events = iter(listener)
    assert next(events)[0] == "snapshot"
    return listener, events


def test_numbers_rise_and_each_names_the_one_before(store: ChannelStore, redis_client: Any) -> None:
    """Also where the server's clock stands behind what is stored already."""
    redis_client.xadd(CHANGES, {"n": "A", "v": "1", "p": "0"}, id=f"{2 * 10**15}-0")
    numbers = [store.set({"A": str(value), "B": str(value)}) for value in range(50)]
    flat = [each for pair in numbers for each in (pair["A"], pair["B"])]
    assert flat == list(range(2 * 10**15 + 1, 2 * 10**15 + 101))
    found = store.since(2 * 10**15)
    assert found is not None
    assert [each.previous for each in found[1]] == [2 * 10**15, *flat[:-1]]
    assert (found[0], store.end(), store.read(["A", "nope"])) == (flat[-1], flat[-1], (flat[-1], {"A": store.all()[0]}))


def test_writers_side_by_side_lose_nothing(settings: Settings) -> None:
    """Eight threads set one channel: as many changes as they made, each with a number of its own."""
    stack = ThreadingStack()
    store = ChannelStore(settings, stack, connect(settings, stack))
    threads = [
        threading.Thread(target=lambda name=name: [store.set({"X": f"{name}{value:03}"}) for value in range(100)])
        for name in range(1, 9)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found = store.since(0)
    assert found is not None
    assert len({each.sequence for each in found[1]}) == 800
    for name in range(1, 9):
        mine = [each.value for each in found[1] if each.value[0] == str(name)]
        assert mine == [f"{name}{value:03}" for value in range(100)]


def test_the_newest_changes_are_kept(store: ChannelStore, redis_client: Any) -> None:
    """No more of them than there may be, whatever is set."""
    for first in range(0, MOST_CHANGES + 500, 500):
        store.set({f"c{number}": "1" for number in range(first, first + 500)})
    assert redis_client.xlen(CHANGES) == MOST_CHANGES
    assert store.since(0) is None
    assert len(store.all()) == 5000
    with pytest.raises(TooMany):
        store.set({"one:more": "1"})


def test_every_change_reaches_who_named_the_channel(store: ChannelStore, stack: Stack) -> None:
    """Of several listeners each hears its own channels, all of them, in order; one that left hears nothing."""
    feed = ChannelFeed(stack, store)
    store.set({"A": "0", "B": "0"})
    (first, a), (_, both), (left, nothing) = _begun(feed, "A"), _begun(feed, "A", "B"), _begun(feed, "A")
    feed.leave(left)
    for number in range(1, 101):
        store.set({"A": str(number), "B": str(-number)})
    assert _take(a, 100) == [str(number) for number in range(1, 101)]
    assert _take(both, 200) == [text for number in range(1, 101) for text in (str(number), str(-number))]
    assert list(nothing) == []
    feed.leave(first)
    assert first.closed


def test_what_comes_between_snapshot_and_first_change_is_not_lost(store: ChannelStore, stack: Stack) -> None:
    """A change that comes as the stream begins is in the snapshot or behind it, never in both and never in neither."""
    feed = ChannelFeed(stack, store)
    store.set({"A": "0"})
    for number in range(1, 60):
        listener = feed.listen(["A"], 0.05)
        feed.join(listener)
        if number % 2:
            store.set({"A": str(number)})
            stack.sleep(0.002 * (number % 5))
        listener.begin(None)
        if not number % 2:
            store.set({"A": str(number)})
        events, expected = iter(listener), [number] if number % 2 else [number - 1, number]
        seen, silences = [next(events)[1][1]["A"].value], 0
        for name, value in events:
            if name != "silence":
                seen.append(value.value)
                continue
            silences += 1
            # On a machine that is busy it may be silent before the change, too.
            if len(seen) >= len(expected) or silences > MOST_SILENCES:
                break
        assert seen == [str(each) for each in expected]
        feed.leave(listener)


def test_a_slow_reader_is_told_how_much_it_missed(store: ChannelStore, stack: Stack) -> None:
    """It has what waited before, or the number of what did not; then the values now, and all that follows."""
    feed = ChannelFeed(stack, store)
    store.set({"A": "0"})
    _, slow = _begun(feed, "A")
    _, quick = _begun(feed, "A")
    most = MOST_WAITING + 50
    for number in range(1, most + 1):
        store.set({"A": str(number)})
        _take(quick, 1)
    assert next(each for each in slow if each[0] != "silence") == ("missed", most)
    name, (moment, found) = next(slow)
    assert (name, found["A"].value, found["A"].sequence) == ("snapshot", str(most), moment)
    store.set({"A": "on"})
    assert _take(slow, 1) == _take(quick, 1) == ["on"]


def test_a_gap_in_the_sequence_is_told(store: ChannelStore, stack: Stack, redis_client: Any) -> None:
    """Where the store has forgotten its newest changes, or more came than it keeps: nobody knows how many."""
    feed = ChannelFeed(stack, store)
    store.set({"A": "0"})
    _, events = _begun(feed, "A", "B")
    store.set({"A": "1"})
    assert _take(events, 1) == ["1"]
    redis_client.delete(CHANGES)
    store.set({"A": "2"})
    assert next(each for each in events if each[0] != "silence") == ("missed", None)
    assert next(events)[1][1]["A"].value == "2"


def test_a_store_that_begins_anew_is_followed(store: ChannelStore, stack: Stack, redis_client: Any) -> None:
    """Also where its clock is behind that of its numbers before: streams have what it holds now, then what comes."""
    redis_client.xadd(CHANGES, {"n": "A", "v": "1", "p": "0"}, id=f"{9 * 10**15}-0")
    feed = ChannelFeed(stack, store)
    store.set({"A": "1"})
    _, events = _begun(feed, "A")
    redis_client.flushall()
    store.set({"A": "2"})
    assert next(each for each in events if each[0] != "silence") == ("missed", None)
    assert next(events)[1][1]["A"].value == "2"
    store.set({"A": "3"})
    assert _take(events, 1) == ["3"]


def test_one_reader_for_all_which_ends_with_the_last(store: ChannelStore, stack: Stack) -> None:
    """Two hundred idle streams are two hundred listeners, no threads of their own; without any nobody reads."""
    feed = ChannelFeed(stack, store)
    store.set({"A": "0"})
    before = threading.active_count()
    listeners = [_begun(feed, "A")[0] for _ in range(200)]
    assert threading.active_count() <= before + 1
    for each in listeners:
        feed.leave(each)
    deadline = 200
    while feed._reading and deadline:
        stack.sleep(0.02)
        deadline -= 1
    assert not feed._reading
    store.set({"A": "1"})
    _, events = _begun(feed, "A")
    store.set({"A": "2"})
    assert _take(events, 1) == ["2"]


def test_streams_outlive_the_store(valkey: Valkey, stack: Stack) -> None:
    """While it is away they go on in silence; then come the changes, or what was missed, and nothing is wrong."""
    settings = _settings(f"unix://{valkey.socket}", redis_timeout=0.5)
    store = ChannelStore(settings, stack, connect(settings, stack))
    feed = ChannelFeed(stack, store)
    store.set({"A": "0"})
    _, events = _begun(feed, "A", silence=0.2)
    valkey.kill()
    assert [next(events) for _ in range(3)] == [("silence", None)] * 3
    with pytest.raises(StoreUnavailable):
        store.read(["A"])
    valkey.start()
    store.set({"A": "1"})
    heard = next(each for each in events if each[0] != "silence")
    assert heard[0] in ("change", "missed")
    if heard[0] == "missed":
        assert next(events)[1][1]["A"].value == "1"
    store.set({"A": "2"})
    assert _take(events, 1) == ["2"]


def test_a_jobs_newest_values_wait_for_the_store(valkey: Valkey, stack: Stack) -> None:
    """While it is away setting fails nobody; then each channel has its newest value."""
    settings = _settings(f"unix://{valkey.socket}", redis_timeout=0.5)
    store = ChannelStore(settings, stack, connect(settings, stack))
    writer = ChannelWriter(stack, store)
    writer.set("A", "0", Masker())
    valkey.kill()
    for number in range(1, 4):
        writer.set("A", str(number), Masker())
        writer.set("B", f'"{number}"', Masker())
    valkey.start()
    deadline = time.monotonic() + 20
    while [each.value for each in store.all()] != ["3", '"3"']:
        assert time.monotonic() < deadline
        stack.sleep(0.05)
    writer.set("A", "4", Masker())
    # It may still be behind the others.
    while store.read(["A"])[1]["A"].value != "4":
        assert time.monotonic() < deadline
        stack.sleep(0.05)


@pytest.mark.parametrize(
    ("value", "stored"),
    [('"a secret, here"', '"*****, here"'), ('{"k": "a secret"}', '{"k": "*****"}'), ("7654321", '"*****"')],
)
def test_a_runs_secrets_are_in_no_channel(store: ChannelStore, stack: Stack, value: str, stored: str) -> None:
    """Channels are for everybody: what is masked in output is masked there, and stays JSON."""
    ChannelWriter(stack, store).set("A", value, Masker(["a secret", "7654321"]))
    assert store.read(["A"])[1]["A"].value == stored


def test_a_user_has_so_many_subscriptions(stack: Stack, settings: Settings, redis_client: Any) -> None:
    """The oldest goes where there is another; nobody fills the store with them."""
    subscriptions = Subscriptions(connect(settings, stack))
    for number in range(MOST_PER_USER + 20):
        subscriptions.save(f"{number:032x}", "ann", ["X"])
    assert len(redis_client.keys("subscription:*")) == MOST_PER_USER
    assert subscriptions.find(f"{0:032x}", "ann") is None
    found = subscriptions.find(f"{MOST_PER_USER:032x}", "ann")
    assert found is not None
    assert found.names == ("X",)
    assert subscriptions.find(f"{MOST_PER_USER:032x}", "bob") is None
