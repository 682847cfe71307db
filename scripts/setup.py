"""Set-up with the standard library alone: `.venv` from a lock with hashes, then `vendor/`; does only what is left.

`python scripts/setup.py run` installs what running needs, `... dev` also the tools and, as root on Debian, Chromium,
nginx and RabbitMQ.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# Each lock holds all of those before it.
LOCKS = {"run": ["requirements.lock"], "dev": ["requirements.lock", "requirements-dev.lock"]}
NPM_LOCK = "requirements-npm.lock"
# Programs that tests need, and Debian's packages that bring them.
DEBIAN = {
    "chromium": "chromium",
    "curl": "curl",
    "nginx": "nginx",
    "rabbitmq-server": "rabbitmq-server",
    "bwrap": "bubblewrap",
}
# Others may be at work with it, and a network may fail for a moment.
APT = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
POLICY = Path("/usr/sbin/policy-rc.d")


class SetUpError(Exception):
    """Set-up cannot go on; the text is one line that says what to do."""


def main(arguments: list[str]) -> int:
    """Run the script; returns the exit code."""
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        print(f"set-up: expected one of {', '.join(LOCKS)}", file=sys.stderr)
        return 2
    try:
        make_venv()
        install(LOCKS[arguments[0]])
        if not (shutil.which("npm") and shutil.which("node")):
            install([NPM_LOCK])
        run([str(PYTHON), str(ROOT / "scripts" / "vendor.py")], "the page's libraries (vendor/) cannot be fetched")
        if arguments[0] == "dev":
            install_programs()
    except SetUpError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"set-up: {error.filename or ROOT}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def make_venv() -> None:
    """Make `.venv`, unless a working one is there."""
    works = [str(PYTHON), "-m", "pip", "--version"]
    if PYTHON.exists() and subprocess.run(works, check=False, capture_output=True).returncode == 0:
        return
    if importlib.util.find_spec("ensurepip") is None:
        raise SetUpError("this Python cannot make virtual environments: on Debian, `apt install python3-venv`")
    print("set-up: making .venv", flush=True)
    venv.create(VENV, clear=True, with_pip=True)


def install(locks: list[str]) -> None:
    """Install the last of `locks`, unless it has been; it holds the others too."""
    stamps = {VENV / f"{lock}.installed": hashlib.sha256((ROOT / lock).read_bytes()).hexdigest() for lock in locks}
    last = VENV / f"{locks[-1]}.installed"
    if last.is_file() and last.read_text() == stamps[last]:
        return
    print(f"set-up: installing the packages of {locks[-1]}", flush=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(ROOT / locks[-1])], f"the packages of {locks[-1]} cannot be installed")
    for stamp, content in stamps.items():
        stamp.write_text(content)


def install_programs() -> None:
    """Install the programs that tests need, where that is allowed; tests say themselves what is left out otherwise."""
    # Where Debian has servers, which is not on everybody's PATH.
    places = f"{os.environ['PATH']}:/usr/sbin"
    missing = [package for program, package in DEBIAN.items() if not shutil.which(program, path=places)]
    if not missing or os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        return
    print(f"set-up: installing {' '.join(missing)} by apt", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    get = [*APT, "install", "-qq", "-y", "--no-install-recommends", *missing]
    with no_service():
        for command in ([*APT, "update", "-qq"], get):
            if subprocess.run(command, check=False, env=environment, stdout=subprocess.DEVNULL).returncode:
                print(f"set-up: apt-get failed: {' '.join(missing)} is missing", file=sys.stderr)
                return
    systemctl = shutil.which("systemctl")
    for service in {"nginx", "rabbitmq-server"} & set(missing) if systemctl else ():
        subprocess.run([str(systemctl), "disable", "--quiet", service], check=False)


@contextlib.contextmanager
def no_service() -> Iterator[None]:
    """Meanwhile a package that brings a server does not start it: tests start their own."""
    made = not POLICY.exists()
    if made:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if made:
            POLICY.unlink()


def run(command: list[str], complaint: str) -> None:
    """Run a command whose own messages are shown.

    Raises: SetUpError with `complaint`.
    """
    if subprocess.run(command, check=False, cwd=ROOT).returncode:
        raise SetUpError(complaint)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
