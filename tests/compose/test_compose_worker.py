"""The profile celery of the developer's project: a worker and a broker beside the rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose.project import URL, Project, docker
from tests.serving import Page, log_in

pytestmark = pytest.mark.timeout(1500)
JOB = """
import os
import time

from app.catalog import job


@job(executor="celery")
def elsewhere(seconds: float = 0.0):
    print(os.uname().nodename, flush=True)
    time.sleep(seconds)
"""


@pytest.fixture
def celery(project: Project) -> Iterator[Project]:
    """The project with that profile, until the test's end."""
    project.environment["BROKER_HOST"] = "broker"
    (project.folder / "jobs" / "elsewhere.py").write_text(JOB)
    project.compose("--profile", "celery", "up", "-d", "--build", "--wait", seconds=1200)
    yield project
    project.compose("--profile", "celery", "rm", "--stop", "--force", "worker", "broker", seconds=180)
    (project.folder / "jobs" / "elsewhere.py").unlink()
    del project.environment["BROKER_HOST"]
    project.compose("up", "-d", "--wait", seconds=300)


def test_a_run_happens_in_the_workers_container(celery: Project) -> None:
    """One that is started while the broker restarts begins when it is back; both containers can do little else."""
    worker = celery.inspect("worker")["Config"]["Hostname"]
    person = log_in(URL)
    page = Page(URL, person)
    run = page.start("elsewhere")
    assert page.wait_for_end(run)["status"] == "succeeded", celery.logs("worker")
    assert page.text(run) == f"{worker}\n"
    celery.compose("restart", "broker")
    run = page.start("elsewhere")
    assert page.wait_for_end(run, 120)["status"] == "succeeded", celery.logs("worker", "broker")
    page.close()
    for service in ("worker", "broker"):
        container = celery.inspect(service)["HostConfig"]
        assert container["ReadonlyRootfs"]
        assert container["CapDrop"] == ["ALL"]
        assert not container["PortBindings"]
        processes = docker("top", f"{celery.name}-{service}-1", "-eo", "pid,uid,args").splitlines()[1:]
        assert processes
        assert not [line for line in processes if line.split()[1] == "0"]
