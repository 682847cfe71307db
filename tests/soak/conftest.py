"""The browser, for the soak's page."""

from tests.e2e.conftest import browser, visit

__all__ = ["browser", "visit"]
