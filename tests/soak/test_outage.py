"""The store cut off for a minute: pages say so, nobody waits, Stop works; then all catches up, each byte once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.killable import Valkey
from tests.oracle import check_run, whole_lines
from tests.processes import memory_of
from tests.proxy import Proxy
from tests.serving import Page, Server, running_server
from tests.waiting import took
from tests.watcher import Watcher

CUT_SECONDS = 60
# REDIS_TIMEOUT bounds each call; the rest is for a machine that has much else to do.
CALL_SECONDS = 5.0 + 1.5
# Longer than the cut, so that all of them have something to say afterwards.
RUN_SECONDS = CUT_SECONDS + 20
# In a minute the floods below would print gigabytes, if nothing held them.
HELD_BYTES = 60_000_000


@dataclass
class Node:
    """A server, and somebody's page that is open there."""

    server: Server
    person: requests.Session
    page: Page

    def ask(self, run: str) -> dict[str, float]:
        """Everything that one may do meanwhile, with the seconds that each took; nothing pretends to be well."""
        lasted = {}
        lasted["Start"], answer = took(lambda: self.page.call("start_request", {"job": "silent"}))
        assert answer["error"]["code"] == "store_unavailable", answer
        lasted["watch"], answer = took(lambda: self.page.call("watch", {"run": run, "ack": True}))
        assert answer["ok"] or answer["error"]["code"] == "store_unavailable", answer
        for path in ("/", "/jobs/lines", f"/runs/{run}", f"/runs/{run}/output"):
            get = partial(self.person.get, f"{self.server.url}{path}", timeout=30)
            lasted[path], shown = took(get)
            assert (shown.status_code, "cannot be reached" in shown.text) == (503, True), path
        lasted["/healthz"], shown = took(lambda: requests.get(f"{self.server.url}/healthz", timeout=30))
        assert shown.ok
        return lasted


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[Proxy]:
    """The network between the servers and their store."""
    made = Proxy(str(valkey.socket))
    yield made
    made.close()


@pytest.fixture
def nodes(proxy: Proxy, store_settings: dict[str, Any], tmp_path: Path) -> Iterator[list[Node]]:
    """Two servers behind that network, with somebody's page at each."""
    settings = {**store_settings, "REDIS_URL": proxy.redis_url}
    with ExitStack() as stack:
        servers = [stack.enter_context(running_server(tmp_path / f"log{n}", **settings)) for n in (1, 2)]
        person = servers[0].log_in()
        opened = [Node(server, person, server.page(person)) for server in servers]
        yield opened
        for node in opened:
            node.page.close()


def _watched(nodes: list[Node], watch: Callable[..., Watcher], folder: Path) -> dict[str, tuple[str, list[Watcher]]]:
    """Witnesses on both nodes, each watched by way of either; by kind."""
    servers = [node.server for node in nodes]
    found = {}
    for kind, node in (("lines", nodes[0]), ("flood", nodes[0]), ("threads", nodes[1]), ("binary", nodes[1])):
        run = node.page.start("witness", file=str(folder / kind), kind=kind, seconds=RUN_SECONDS)
        found[kind] = run, [watch(node.person, run, *servers), watch(node.person, run, *servers[::-1])]
    for _, watchers in found.values():
        for each in watchers:
            each.wait_for(lambda each=each: each.position > 500)  # type: ignore[misc]
    return found


def _sit_it_out(nodes: list[Node], runs: list[str], until: float) -> None:
    """Until then no call takes longer than it may, and each page knows since when the store is away."""
    longest: dict[str, float] = {}
    while time.monotonic() < until:
        for node, run in zip(nodes, runs, strict=True):
            for what, seconds in node.ask(run).items():
                longest[what] = max(longest.get(what, 0.0), seconds)
        time.sleep(1)
    assert max(longest.values()) < CALL_SECONDS, longest
    for node in nodes:
        news = node.page.storage[-1]
        assert news["available"] is False
        assert abs(news["since"] - (time.time() - CUT_SECONDS)) < 15


@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["silent", "refused"])
def test_a_store_that_is_away_for_a_minute(
    proxy: Proxy, nodes: list[Node], watch: Callable[..., Watcher], tmp_path: Path, how: str
) -> None:
    """Two servers lose their store for longer than leases last: no run is lost, and no byte of any is, or is twice."""
    page = nodes[0].page
    witnesses = _watched(nodes, watch, tmp_path)
    beats = page.start("heartbeat", file=str(tmp_path / "beats"))
    page.wait_for_text(beats, "beat 50\n")
    before = [memory_of(node.server.worker) for node in nodes]

    until = time.monotonic() + CUT_SECONDS
    {"silent": proxy.hold, "refused": proxy.cut}[how]()
    for node in nodes:
        assert "cannot be reached" in node.page.wait_for_storage(available=False, seconds=15)["reason"]
    seconds, answer = took(lambda: page.call("stop_request", {"run": beats}))
    assert answer["run"]["status"] == "stopping"
    assert seconds < CALL_SECONDS
    _sit_it_out(nodes, [witnesses["lines"][0], witnesses["binary"][0]], until)
    for node, size in zip(nodes, before, strict=True):
        assert memory_of(node.server.worker) - size < HELD_BYTES

    proxy.heal(forget=True)
    for node in nodes:
        assert node.page.wait_for_storage(available=True, seconds=30)["reason"] == ""
    assert page.wait_for_end(beats)["status"] == "stopped"
    assert page.text(beats) == (tmp_path / "beats").read_text()
    for kind, (run, watchers) in witnesses.items():
        for each in watchers:
            assert each.wait_for_end(120)["status"] == "succeeded"
        stored = check_run(nodes[0].server, nodes[0].person, run, tmp_path / kind, *watchers)
        assert kind == "binary" or whole_lines(stored) > 500
    for node in nodes:
        assert node.page.wait_for_end(node.page.start("silent"))["status"] == "succeeded"
