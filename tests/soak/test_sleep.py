"""A browser that sleeps for ten minutes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.test_faults_page import sleep_through


@pytest.mark.timeout(900)
def test_a_browser_that_slept_for_ten_minutes(visit: Callable[..., Page], browser: Browser, tmp_path: Path) -> None:
    """Its page goes on where it was, and has every byte of the ten minutes once."""
    sleep_through(visit, browser, tmp_path / "file", 600)
