"""A clock jumps by an hour, there and back: no clock decides over a run, an order, or who is logged in."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clocks import Clock
from tests.integration.simulator_fixture import Simulator
from tests.killable import Valkey
from tests.oracle import check_run, whole_lines
from tests.server_fixture import settings_for
from tests.serving import Page, Server, running_server
from tests.watcher import Watcher

HOUR = 3600
# In this time leases that the jump took away would have been missed often enough for a run to be called lost.
SETTLE_SECONDS = 12
# A run without a lease is lost within 30 s; the viewer hears of it a little later.
LOST_SECONDS = 35


@dataclass
class World:
    """Two servers on one store; `clock` is the one that jumps, of what `jumps`: the store, or the first server."""

    jumps: str
    clock: Clock
    valkey: Valkey
    servers: list[Server]


@pytest.fixture
def world(request: pytest.FixtureRequest, _shared_simulator: Simulator, tmp_path: Path) -> Iterator[World]:
    """It runs, all clocks right."""
    clock = Clock(tmp_path / "clock")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frt-")))
        valkey = Valkey(folder, clock.environment if request.param == "store" else {})
        stack.callback(valkey.kill, settled=False)
        settings = settings_for(valkey.socket, _shared_simulator, tmp_path)
        jumping: dict[str, Any] = clock.environment if request.param == "server" else {}
        first = stack.enter_context(running_server(tmp_path / "first", **settings, **jumping))
        second = stack.enter_context(running_server(tmp_path / "second", **settings))
        yield World(request.param, clock, valkey, [first, second])


def _all_is_well(pages: list[Page], person: requests.Session, servers: list[Server], seconds: float) -> list[float]:
    """For so long runs begin and end, in times that make sense; who is logged in stays so; nothing is the matter.

    Answers when the last run of each server was started, by that server's clock.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        created = []
        for page, server in zip(pages, servers, strict=True):
            began = time.monotonic()
            ended = page.wait_for_end(page.start("lines", count=3))
            lasted = time.monotonic() - began
            assert (ended["status"], page.text(ended["id"])) == ("succeeded", "0\n1\n2\n")
            assert ended["created"] <= ended["started"] <= ended["ended"] <= ended["created"] + lasted + 1
            assert person.get(server.url, timeout=20).url == f"{server.url}/"
            created.append(ended["created"])
        time.sleep(1)
    assert [news for page in pages for news in page.storage if not news["available"]] == []
    return created


@pytest.mark.timeout(300)
@pytest.mark.parametrize("world", ["store", "server"], indirect=True)
def test_a_clock_that_jumps_by_hours(world: World, watch: Callable[..., Watcher], tmp_path: Path) -> None:
    """An hour forwards, two back: runs of both servers go on, in order; the one is lost whose server really dies."""
    first, second = world.servers
    person = first.log_in()
    pages = [server.page(person) for server in world.servers]
    files = [tmp_path / name for name in ("a", "b")]
    runs = [page.start("witness", file=str(file), seconds=600) for page, file in zip(pages, files, strict=True)]
    watchers = [watch(person, run, second, first) for run in runs]
    for jump in (HOUR, -HOUR):
        world.clock.jump(jump)
        created = _all_is_well(pages, person, world.servers, SETTLE_SECONDS)
        with world.valkey.client() as client:
            seen = client.time()[0] if world.jumps == "store" else created[0]
        assert abs(seen - time.time() - jump) < HOUR / 2
    pages[0].call("stop_request", {"run": runs[0]})
    ended = watchers[0].wait_for_end()
    assert ended["status"] == "stopped"
    whole_lines(check_run(first, person, runs[0], files[0], watchers[0]))
    second.kill()
    assert watchers[1].wait_for_end(LOST_SECONDS)["status"] == "lost"
    check_run(first, person, runs[1], files[1], watchers[1], whole=False)
    pages[0].close()
