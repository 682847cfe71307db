"""Run the tests of tests/compose; as root on Debian they get an engine where there is none, and it is ended again.

`python scripts/compose.py [what pytest should run]`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENGINE = str(ROOT / "tests" / "container_engine.sh")
OURS = Path("/var/lib/container-engine/dockerd.pid")
NO_ENGINE = 3
DOCKERFILES = [str(ROOT / f"Dockerfile-{name}") for name in ("flask", "nginx", "redis", "broker")]


def main(arguments: list[str]) -> int:
    """Run the script; returns pytest's exit code, or NO_ENGINE."""
    began = time.monotonic()
    own = not answers()
    if own and not bring():
        print("Left out: tests/compose, since no container engine answers, and none can be brought up here.")
        return NO_ENGINE
    try:
        # An engine that this script brought, now or earlier, knows no registry: the base images are made here.
        if own or OURS.exists():
            make_images()
        tests = arguments or ["tests/compose"]
        code = subprocess.run([sys.executable, "-m", "pytest", *tests], check=False, cwd=ROOT).returncode
    except subprocess.CalledProcessError as error:
        print(f"The base images cannot be made: exit code {error.returncode}", file=sys.stderr)
        return 1
    finally:
        if own:
            subprocess.run([ENGINE, "down"], check=False)
    print(f"make test-compose took {time.monotonic() - began:.0f} s")
    return code


def make_images() -> None:
    """Make the base images, whose packages come over a network, which may fail for a moment.

    Raises: subprocess.CalledProcessError.
    """
    for left in (2, 1, 0):
        # What is there is not made again.
        if not subprocess.run([ENGINE, "images", *DOCKERFILES], check=not left).returncode:
            return


def bring() -> bool:
    """Start an engine of our own, where this machine lets root do that; whether it is up."""
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        return False
    return subprocess.run([ENGINE, "up"], check=False).returncode == 0


def answers() -> bool:
    """Whether a container engine answers."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        return subprocess.run([docker, "info"], check=False, capture_output=True, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
