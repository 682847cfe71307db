"""What every test may use: the real parts that the product stands on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A shell has it ignored in what it starts in the background, and processes of tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
HERE = Path(__file__).parent

pytest_plugins = [
    "tests.archiving",
    "tests.integration.nginx_fixture",
    "tests.integration.simulator_fixture",
    "tests.integration.stack_fixture",
    "tests.integration.store_fixture",
    "tests.integration.credential_nodes",
    "tests.integration.visitor",
    "tests.killable",
    "tests.server_fixture",
    "tests.brokers",
    "tests.workers",
    "tests.unit.jobfiles",
    # These import others of the list, which pytest has to see before.
    "tests.integration.channels_fixture",
    "tests.integration.contract_fixture",
    "tests.integration.log_fixture",
    "tests.integration.queue_fixture",
    "tests.integration.sandbox_fixture",
    "tests.integration.typed_fixture",
    "tests.rpc",
]

FOLDERS = ("unit", "integration", "e2e", "soak", "compose")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first; the browser's last, since Playwright keeps the main thread's event loop once it is there."""
    items.sort(key=lambda item: FOLDERS.index(item.path.relative_to(HERE).parts[0]))
