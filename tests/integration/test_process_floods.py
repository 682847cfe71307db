"""A flood of a process run: its process holds no more than its pipes do, whatever the runner can take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Page, Server, running_server
from tests.waiting import wait_until

CONTRACT = str(Path(__file__).parents[1] / "jobs" / "contract")
ENOUGH_BYTES = 100_000_000
# A process with the jobs loaded takes 50, and a first surprise as much as is printed in a fraction of a second.
MOST_KILOBYTES = 400_000


@pytest.fixture
def server(store_settings: dict[str, Any], tmp_path: Path) -> Iterator[Server]:
    """A server with a store and a runner of its own."""
    with running_server(tmp_path / "log", **{**store_settings, "JOBS": CONTRACT}) as running:
        yield running


def _peak(process: int) -> int:
    """The most memory that a process had, in kilobytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("every", [10, 100, 1000])
def test_a_flood_that_lets_go_of_the_lock_stays_small(server: Server, page: Page, every: int) -> None:
    """A job that asks whether to go on, ever so often, is held where the output waits, and stops at once."""
    run = page.start("torrent", every=every)
    process = int(page.wait_for_text(run, "\n").split()[0])
    page.call("unwatch", {"run": run})
    page.texts.pop(run, None)
    person = server.log_in()

    def position() -> int:
        return int(person.get(f"{server.url}/api/v1.0/runs/{run}").json()["position"])

    wait_until(lambda: position() > ENOUGH_BYTES, "a hundred megabytes are stored", seconds=90)
    assert _peak(process) < MOST_KILOBYTES
    page.call("stop_request", {"run": run})
    wait_until(
        lambda: person.get(f"{server.url}/api/v1.0/runs/{run}").json()["status"] == "stopped", "it stopped", seconds=20
    )


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    """A page of somebody who is logged in."""
    opened = server.page(server.log_in())
    yield opened
    opened.close()
