"""A server with the jobs of the contract and a Celery worker elsewhere, and a person's page of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.brokers import RedisBroker
from tests.integration.simulator_fixture import Simulator
from tests.server_fixture import settings_for
from tests.serving import Page, Server, running_server
from tests.workers import Worker

JOBS = Path(__file__).parents[1] / "jobs" / "contract"


@pytest.fixture(scope="module")
def contract(
    _valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with the jobs of the contract, with short stages of Stop, and a Celery worker elsewhere."""
    # What tests before asked of it, such as short tokens, holds no more.
    _shared_simulator.reset()
    folder, elsewhere = tmp_path_factory.mktemp("contract"), tmp_path_factory.mktemp("elsewhere")
    settings = settings_for(_valkey_socket, _shared_simulator, folder)
    with contextlib.closing(RedisBroker(elsewhere)) as broker:
        settings |= {"JOBS": str(JOBS), "STAGE_SECONDS": "4", "DATA_DIR": str(folder / "data"), **broker.settings}
        del settings["REDIS_URL"]
        with running_server(folder / "log", **settings) as server:
            settings |= {"REDIS_URL": f"unix://{folder}/data/valkey.sock", "WORKER_GRACE": "0"}
            with contextlib.closing(Worker(elsewhere, settings)) as worker:
                worker.wait_ready()
                yield server


@pytest.fixture(scope="module")
def contract_visitor(contract: Server) -> requests.Session:
    """Somebody who is logged in there."""
    return contract.log_in()


@pytest.fixture
def open_page(contract: Server, contract_visitor: requests.Session) -> Iterator[Page]:
    """That person's page."""
    page = contract.page(contract_visitor)
    yield page
    page.close()
    assert page.gaps == []
