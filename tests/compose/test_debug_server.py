"""`run_redis.sh` and `test.py`: a debugger's server, one process, with the Redis of the compose project."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.compose.project import ENVIRONMENT, Project, clean_clone, docker
from tests.processes import processes_of
from tests.serving import Page, free_port, log_in, web_answers
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Project]:
    """A clean clone with its Redis running."""
    assert not docker("ps", "-aq", "--filter", "name=^redis$"), "there is a container called redis: remove it"
    with clean_clone(tmp_path / "clone", "debug-test", "docker-compose-dev.yml") as clone:
        try:
            subprocess.run(["./run_redis.sh"], cwd=clone.folder, env=ENVIRONMENT, check=True, timeout=600)
            yield clone
        finally:
            docker("rm", "-f", "redis", check=False)


def _is_ready(url: str) -> bool:
    """Whether it answers, and has its Redis."""
    return web_answers(url) and requests.get(f"{url}/readyz", timeout=5).ok


def _serve(clone: Project, port: int, log: Path) -> subprocess.Popen[bytes]:
    environment = {**ENVIRONMENT, "PORT": str(port)}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "test.py"],
            cwd=clone.folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def test_a_job_can_be_debugged(tmp_path: Path, clone: Project) -> None:
    """A second start of Redis keeps password and data; server and jobs are one process; Ctrl-C ends it and the rest."""
    port, log = free_port(), tmp_path / "log"
    url = f"http://localhost:{port}"
    password = (clone.folder / "instance" / "redis" / "redis_password").read_text()
    outputs = []
    run = ""
    for _ in range(2):
        process = _serve(clone, port, log)
        try:
            wait_until(lambda: _is_ready(url), log, seconds=60)
            commands = [command for command in processes_of(process.pid).values() if "simulator" not in command]
            assert len(commands) == 1
            person = log_in(url)
            if not run:
                page = Page(url, person)
                run = page.start("count", steps=3, pause=0)
                assert page.wait_for_end(run)["status"] == "succeeded"
                page.close()
            outputs.append(person.get(f"{url}/runs/{run}/output", timeout=20).content)
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert processes_of(process.pid) == {}
        subprocess.run(["./run_redis.sh"], cwd=clone.folder, env=ENVIRONMENT, check=True, timeout=600)
    assert outputs[0]
    assert outputs[0] == outputs[1]
    assert (clone.folder / "instance" / "redis" / "redis_password").read_text() == password
    assert "code=" not in log.read_text()


def test_without_its_redis_it_says_what_to_do(tmp_path: Path, clone: Project) -> None:
    """One line, before anything is started."""
    (clone.folder / "instance" / "redis" / "redis_password").unlink()
    process = _serve(clone, free_port(), tmp_path / "log")
    assert process.wait(30) == 2
    said = (tmp_path / "log").read_text()
    assert said == "REDIS_URL: missing, and there is no password of a local Redis: run run_redis.sh\n"
