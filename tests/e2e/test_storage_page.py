"""The page while the store suffers: it says so, and that goes away by itself."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.killable import Valkey
from tests.processes import limit_files
from tests.serving import Server, running_server


def test_the_banner_comes_and_goes(visit: Callable[..., Page], valkey: Valkey, store_settings: dict[str, Any]) -> None:
    """Since when and why nothing can be stored; Start says the same; then the run goes on, and the banner is gone."""
    with running_server(Path(store_settings["KEY_DIR"]) / "log", **store_settings) as server:
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
    visit: Callable[..., Page], valkey: Valkey, store_settings: dict[str, Any]
) -> None:
    """A page that connects anew while the store is full is told of it, and again when it is well."""
    with (
        running_server(Path(store_settings["KEY_DIR"]) / "log", **store_settings) as server,
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


def test_an_archive_in_trouble_is_told_and_start_works(
    visit: Callable[..., Page], start_server: Callable[..., Server]
) -> None:
    """The page says that the archive cannot be written, and does not call the storage away: short runs go on."""
    server = start_server(HOT_MEGABYTES="1")
    limit_files(server.processes, 1)
    page = visit("/jobs/flood", url=server.url)
    banner = page.locator("#storage")
    page.fill("#p-megabytes", "12")
    page.click("#start")
    expect(banner).to_contain_text(
        "The archive cannot be written: File too large. What is printed is kept", timeout=20_000
    )
    expect(banner).to_contain_text("Since ")
    expect(banner).not_to_contain_text("unavailable")
    held = page.url
    page.goto(f"{server.url}/jobs/lines")
    expect(banner).to_contain_text("The archive cannot be written")
    page.click("#start")
    page.wait_for_selector("#log[data-status=succeeded]")
    page.goto(held)
    page.wait_for_selector("#log[data-status=running]")
    limit_files(server.processes, resource.RLIM_INFINITY)
    page.wait_for_selector("#log[data-status=succeeded]")
    assert page.get_attribute("#log", "data-position") == "12000000"
    expect(banner).to_be_hidden()
