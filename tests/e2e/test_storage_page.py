"""The page while the store suffers: it says so, and that goes away by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.integration.simulator_fixture import Simulator
from tests.killable import Valkey
from tests.server_fixture import settings_for
from tests.serving import running_server


@pytest.fixture
def settings(valkey: Valkey, _shared_simulator: Simulator, tmp_path: Path) -> dict[str, Any]:
    """A server's settings with a store of its own."""
    return settings_for(valkey.socket, _shared_simulator, tmp_path)


def test_the_banner_comes_and_goes(visit: Callable[..., Page], valkey: Valkey, settings: dict[str, Any]) -> None:
    """Since when and why nothing can be stored; Start says the same; then the run goes on, and the banner is gone."""
    with running_server(Path(settings["KEY_DIR"]) / "log", **settings) as server:
        page = visit("/jobs/lines", url=server.url)
        banner = page.locator("#storage")
        expect(banner).to_be_hidden()
        page.fill("#p-count", "500")
        page.fill("#p-pause", "0.01")
        page.click("#start")
        page.wait_for_selector("#log[data-status=running]")
        valkey.kill()
        expect(banner).to_contain_text("Storage unavailable since ")
        expect(banner).to_contain_text("The storage cannot be reached. What is printed is kept and will be stored.")
        page.wait_for_timeout(1500)
        page.click("#start")
        expect(page.locator("#form-error")).to_contain_text("The storage cannot be reached.")
        valkey.start()
        expect(banner).to_be_hidden()
        page.wait_for_selector("#log[data-status=succeeded]")


def test_a_page_whose_connection_breaks_meanwhile_says_why(
    visit: Callable[..., Page], valkey: Valkey, settings: dict[str, Any]
) -> None:
    """A page that connects anew while the store is full is told of it, and again when it is well."""
    with (
        running_server(Path(settings["KEY_DIR"]) / "log", **settings) as server,
        valkey.client() as client,
    ):
        page = visit("/jobs/lines", url=server.url)
        client.config_set("maxmemory", 1)
        banner = page.locator("#storage")
        expect(banner).to_contain_text("The storage is full")
        page.reload()
        expect(banner).to_contain_text("The storage is full")
        client.config_set("maxmemory", 0)
        expect(banner).to_be_hidden()
