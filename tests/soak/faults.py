"""The faults of the soak: each is brought about for a while, and then healed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from tests.soak.world import World

# Less than a lease needs to run out and be found so.
SURELY_ALIVE_SECONDS = 7.0

Fault = Callable[[World, random.Random], str]


def _store_killed(world: World, chance: random.Random) -> str:
    """The store is killed and comes back a moment later."""
    world.valkey.kill(settled=False)
    pause = _pause(chance, 0.0, 4.0)
    world.valkey.start()
    return f"for {pause:.1f} s"


def _store_frozen(world: World, chance: random.Random) -> str:
    """The store stands still, with connections open; sometimes for longer than a lease lasts."""
    world.valkey.freeze()
    pause = _pause(chance, 0.5, chance.choice((4.0, 22.0)))
    world.valkey.thaw()
    return f"for {pause:.1f} s"


def _store_full(world: World, chance: random.Random) -> str:
    """The store takes nothing more."""
    with world.valkey.client() as client:
        client.config_set("maxmemory", 1_000_000)
        pause = _pause(chance, 0.5, 8.0)
        client.config_set("maxmemory", 0)
    return f"for {pause:.1f} s"


def _store_cut(world: World, chance: random.Random) -> str:
    """One node's way to the store is cut."""
    node = chance.choice(world.nodes)
    node.to_store.cut()
    pause = _pause(chance, 0.2, 6.0)
    node.to_store.heal()
    return f"of {node.name} for {pause:.1f} s"


def _store_hiccups(world: World, chance: random.Random) -> str:
    """Connections to the store end one after the other, and new ones are made at once."""
    node = chance.choice(world.nodes)
    times = chance.randrange(1, 12)
    for _ in range(times):
        node.to_store.cut(refuse=False)
        _pause(chance, 0.0, 0.3)
    node.to_store.heal()
    return f"of {node.name}, {times} times"


def _answers_lost(world: World, chance: random.Random) -> str:
    """What one node writes is stored, and it does not hear of it."""
    node = chance.choice(world.nodes)
    node.to_store.drop_answers()
    pause = _pause(chance, 0.1, chance.choice((0.5, 7.0)))
    node.to_store.heal()
    return f"of {node.name} for {pause:.1f} s"


def _store_half_open(world: World, chance: random.Random) -> str:
    """Nothing comes through to the store, and nobody is told."""
    node = chance.choice(world.nodes)
    node.to_store.hold()
    pause = _pause(chance, 0.5, chance.choice((3.0, 14.0)))
    node.to_store.heal()
    return f"of {node.name} for {pause:.1f} s"


def _viewers_cut(world: World, chance: random.Random) -> str:
    """All viewers of a node lose their connections, and for a while get no new ones."""
    node = chance.choice(world.nodes)
    node.front.cut()
    pause = _pause(chance, 0.0, 3.0)
    node.front.heal()
    return f"of {node.name} for {pause:.1f} s"


def _viewers_half_open(world: World, chance: random.Random) -> str:
    """Nothing comes through to a node's viewers, and nobody is told."""
    node = chance.choice(world.nodes)
    node.front.hold()
    pause = _pause(chance, 0.5, chance.choice((2.0, 15.0)))
    node.front.heal()
    return f"of {node.name} for {pause:.1f} s"


def _node_killed(world: World, chance: random.Random) -> str:
    """A node is killed, and another life begins a moment later."""
    return _end(world, chance, signal.SIGKILL)


def _node_ended(world: World, chance: random.Random) -> str:
    """A node is asked to end, as for a new version."""
    return _end(world, chance, signal.SIGTERM)


def _end(world: World, chance: random.Random, number: signal.Signals) -> str:
    node = chance.choice(world.nodes)
    seconds = node.end(number)
    _pause(chance, 0.0, 3.0)
    node.start()
    return f"{node.name} within {seconds:.1f} s"


def _node_frozen(world: World, chance: random.Random) -> str:
    """A node stands still, sometimes for so long that its runs are called lost; what it writes then comes too late."""
    node = chance.choice(world.nodes)
    longest = chance.choice((3.0, 40.0))
    if longest > SURELY_ALIVE_SECONDS:
        node.harms += 1
    node.signal(signal.SIGSTOP)
    pause = _pause(chance, 0.5, longest)
    node.signal(signal.SIGCONT)
    if longest > SURELY_ALIVE_SECONDS:
        node.harms += 1
    return f"{node.name} for {pause:.1f} s"


def _pause(chance: random.Random, least: float, most: float) -> float:
    seconds = chance.uniform(least, most)
    time.sleep(seconds)
    return seconds


FAULTS: list[tuple[Fault, int]] = [
    (_store_killed, 3),
    (_store_frozen, 2),
    (_store_full, 2),
    (_store_cut, 3),
    (_store_hiccups, 4),
    (_answers_lost, 4),
    (_store_half_open, 2),
    (_viewers_cut, 3),
    (_viewers_half_open, 1),
    (_node_killed, 1),
    (_node_ended, 1),
    (_node_frozen, 1),
]


def torment(world: World, seed: int) -> None:
    """One fault after the other, with moments of peace, until all is over."""
    chance = random.Random(seed)
    kinds, weights = zip(*FAULTS, strict=True)
    while not world.over.wait(chance.uniform(0.0, 4.0)):
        fault: Fault = chance.choices(kinds, weights)[0]
        name = fault.__name__.strip("_").replace("_", " ")
        began = world.now
        world.note(name)
        try:
            detail = fault(world, chance)
        except Exception as error:  # noqa: BLE001 - whatever it is, the soak has found something
            world.find(f"{name}: {type(error).__name__}: {error}")
            detail = "and failed"
        world.history.append((began, world.now, f"{name} {detail}"))
        world.note(f"{name} {detail}")
        world.count(name)
