"""A server with a sandbox of each level that isolates, and a page on which code is typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.simulator_fixture import Simulator
from tests.levels import LEVELS
from tests.server_fixture import settings_for
from tests.serving import Page, Server, running_server


@pytest.fixture(scope="module", params=LEVELS)
def typed_site(
    request: pytest.FixtureRequest, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with a store of its own, whose runner has a sandbox of each level that isolates."""
    folder = tmp_path_factory.mktemp("typed")
    settings = settings_for(Path("-"), _shared_simulator, folder)
    del settings["REDIS_URL"]
    settings |= {
        "DATA_DIR": str(folder / "data"),
        "SANDBOX": request.param,
        "SANDBOX_MINIMUM": request.param,
        "STAGE_SECONDS": "4",
        "CODE_MEMORY_MEGABYTES": "192",
        "CODE_PROCESSES": "32",
        "CODE_DISK_MEGABYTES": "4",
    }
    with running_server(folder / "log", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def typist(typed_site: Server) -> requests.Session:
    """Somebody who is logged in there."""
    return typed_site.log_in()


@pytest.fixture
def typed_page(typed_site: Server, typist: requests.Session) -> Iterator[Page]:
    """That person's page."""
    opened = typed_site.page(typist)
    yield opened
    opened.close()
    assert opened.gaps == []


def typed(page: Page, source: str) -> str:
    """The id of a new run of this code."""
    return page.start("code", source=source)


def ended(page: Page, source: str) -> tuple[dict[str, Any], str]:
    """Such a run's record after its end, and its output."""
    run = typed(page, source)
    record = page.wait_for_end(run)
    return record, page.wait_for_text(run, "") if not record["position"] else whole(page, run, record["position"])


def whole(page: Page, run: str, position: int) -> str:
    """The run's output, once as much has come."""
    with page.changed:
        assert page.changed.wait_for(lambda: page.positions.get(run, 0) >= position, 20)
    return page.text(run)


def answer(page: Page, run: str, line: str | None, prompt: str) -> None:
    """Wait until the run asks so, and type a line, or the end of all input."""
    with page.changed:
        asked = page.changed.wait_for(lambda: page.statuses.get(run, {}).get("asks") == prompt, 30)
    assert asked, page.statuses.get(run)
    message = {"run": run, "eof": True} if line is None else {"run": run, "line": line}
    assert page.call("input", message)["ok"]
