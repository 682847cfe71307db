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
DOCKERFILES = [str(ROOT / f"Dockerfile-{name}") for name in ("flask", "nginx", "redis")]


def main(arguments: list[str]) -> int:
    """Run the script; returns pytest's exit code, or 1 without an engine."""
    began = time.monotonic()
    own = not answers()
    if own and (os.geteuid() != 0 or not Path("/etc/debian_version").exists()):
        print("Nothing was tried: no container engine answers here, and only root on Debian can bring one.")
        return 1
    try:
        # An engine that this script brought, now or earlier, knows no registry: the base images are made here.
        if own:
            subprocess.run([ENGINE, "up"], check=True)
        if own or Path("/var/lib/container-engine/dockerd.pid").exists():
            subprocess.run([ENGINE, "images", *DOCKERFILES], check=True)
        tests = arguments or ["tests/compose"]
        code = subprocess.run([sys.executable, "-m", "pytest", *tests], check=False, cwd=ROOT).returncode
    except subprocess.CalledProcessError as error:
        print(f"The container engine cannot be prepared: exit code {error.returncode}", file=sys.stderr)
        return 1
    finally:
        if own:
            subprocess.run([ENGINE, "down"], check=False)
    print(f"make test-compose took {time.monotonic() - began:.0f} s")
    return code


def answers() -> bool:
    """Whether a container engine answers."""
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], check=False, capture_output=True).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
