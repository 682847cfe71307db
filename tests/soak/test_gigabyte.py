"""A gigabyte of output with the page open."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import complaints_of
from tests.e2e.test_faults_page import flood_the_page
from tests.serving import Server


@pytest.mark.timeout(1200)
def test_a_gigabyte_with_the_page_open(visit: Callable[..., Page], start_server: Callable[..., Server]) -> None:
    """The page answers all along and stays small, and so does the store: older output is in the archive."""
    server = start_server(RUN_MEGABYTES="2000")
    page = visit("/jobs/flood", url=server.url)
    flood_the_page(page, 1000)
    assert complaints_of(page) == []
