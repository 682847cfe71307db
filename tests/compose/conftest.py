"""The projects that the tests share: each is brought up once."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.project import Project, clean_clone

# Chromium, as the tests of the page have it.
from tests.e2e.conftest import browser

__all__ = ["browser", "project"]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Project]:
    """The project of a developer: a clean clone, brought up with nothing configured."""
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 5000)), "port 5000 is taken: end what listens there"
    folder: Path = tmp_path_factory.mktemp("compose") / "clone"
    with clean_clone(folder, "console-test", "docker-compose-dev.yml") as project:
        began = time.monotonic()
        _build(project)
        project.compose("up", "-d", "--build", "--wait", seconds=1200)
        request.config.stash[UP_SECONDS] = time.monotonic() - began
        yield project


def _build(project: Project) -> None:
    """Packages come over a network, which may fail for a moment."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            project.compose("build", seconds=1200)
            return


UP_SECONDS = pytest.StashKey[float]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how long the start took: whoever waits for it wants to know."""
    seconds = config.stash.get(UP_SECONDS, None)
    if seconds is not None:
        terminalreporter.write_line(f"docker compose up -d --build: {seconds:.0f} s")
