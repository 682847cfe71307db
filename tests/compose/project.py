"""A compose project in a clean clone of this repository, and what the engine says of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.serving import ROOT
from tests.waiting import wait_until

# Nothing of this machine's settings reaches the project.
URL = "http://localhost:5000"
OWNER = 12_345
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST", "TMPDIR") if name in os.environ}


def docker(*command: str, check: bool = True, seconds: float = 60) -> str:
    """What `docker` says; its stderr too where it fails."""
    done = subprocess.run(
        ["docker", *command], capture_output=True, text=True, timeout=seconds, check=False, env=ENVIRONMENT
    )
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def get(path: str) -> requests.Response | None:
    """The answer of the developer's project; None where there is none."""
    try:
        return requests.get(URL + path, timeout=5, allow_redirects=False)
    except requests.RequestException:
        return None


def answers() -> bool:
    """Whether the console of the developer's project answers."""
    answer = get("/healthz")
    return answer is not None and answer.ok


class Project:
    """A project of compose files in `folder`; `name` tells it from others."""

    def __init__(self, folder: Path, name: str, *files: str) -> None:
        self.folder, self.name, self.files = folder, name, files
        self.environment = dict(ENVIRONMENT)

    def compose(self, *command: str, check: bool = True, seconds: float = 120) -> str:
        """What `docker compose` says, stderr included."""
        options = [part for file in self.files for part in ("-f", file)]
        done = subprocess.run(
            ["docker", "compose", "-p", self.name, *options, *command],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
            env=self.environment,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout[-1500:]}"
        return done.stdout

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container, also of one that has ended."""
        found: dict[str, Any] = json.loads(docker("inspect", f"{self.name}-{service}-1"))[0]
        return found

    def health(self, service: str) -> str:
        """`healthy`, or what else the engine says."""
        return str(self.inspect(service)["State"].get("Health", {}).get("Status"))

    def wait_for_health(self, service: str) -> None:
        """Wait until a service is healthy."""
        wait_until(lambda: self.health(service) == "healthy", self.logs(service))

    def logs(self, *services: str) -> str:
        """What services wrote."""
        return self.compose("logs", "--no-color", *services)

    def left(self) -> list[str]:
        """Containers, networks and volumes of the project."""
        label = f"label=com.docker.compose.project={self.name}"
        kinds = (["ps", "-a"], ["network", "ls"], ["volume", "ls"])
        return [line for kind in kinds for line in docker(*kind, "-q", "--filter", label).split()]


@contextmanager
def clean_clone(folder: Path, name: str, *files: str) -> Iterator[Project]:
    """A clone of what is committed, without a setting; whatever was started of it is ended."""
    # git refuses to read somebody else's checkout, which on a build machine this may be.
    trust = folder.with_suffix(".gitconfig")
    trust.write_text("[safe]\n\tdirectory = *\n")
    environment = {**ENVIRONMENT, "GIT_CONFIG_GLOBAL": str(trust)}
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, timeout=60, env=environment)
    if os.geteuid() == 0:
        # As most people have it: a checkout is not root's.
        subprocess.run(["chown", "-R", f"{OWNER}:{OWNER}", str(folder)], check=True)
    project = Project(folder, name, *files)
    project.environment |= environment
    try:
        yield project
    finally:
        project.compose("down", "-v", "--remove-orphans", check=False)
