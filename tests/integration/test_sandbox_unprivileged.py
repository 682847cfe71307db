"""The sandbox of a server that is not root, as in a container: code runs by the server's own user number there."""

from __future__ import annotations

import pytest

from tests import unprivileged
from tests.levels import LEVELS, system_calls

PROGRAM = """
import json, os, subprocess, sys, time
from app.config import load_settings
from app.sandbox import Sandbox
from app.sandbox.probe import run
level, source, processes = sys.argv[1:4]
limits = {"code_processes": int(processes), "code_disk_megabytes": 2}
sandbox = Sandbox(load_settings(None, sandbox=level, sandbox_minimum=level, **limits))
assert sandbox.level == level, sandbox.report
neighbour = subprocess.Popen(["sleep", "100"], env={"SECRET": "canary"})
room = sandbox.room()
code, printed = run(room, f"neighbour, server = {neighbour.pid}, {os.getpid()}\\n" + source, 60)
room.cleanup()
print(printed)
print("exit", code)
print("neighbour", neighbour.poll(), os.sched_getaffinity(neighbour.pid) == os.sched_getaffinity(0), end=" ")
print(os.getpriority(0, neighbour.pid) == os.getpriority(0, 0))
neighbour.kill()
"""

TRIES = (
    f"CALLS = {system_calls('tgkill', 'ptrace', 'shmget')!r}"
    + """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, what):
    try:
        got = what()
        print("BROKE OUT", name, repr(got)[:100])
    except Exception as error:
        print("refused", name, type(error).__name__)
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
inside = os.getpid() < 10
for process in (neighbour, server):
    if os.path.exists(f"/proc/{process}") and inside:
        continue
    attempt("environ", lambda: open(f"/proc/{process}/environ").read())
    attempt("memory", lambda: open(f"/proc/{process}/mem"))
    attempt("descriptors", lambda: os.listdir(f"/proc/{process}/fd"))
    attempt("signal", lambda: os.kill(process, 0))
    attempt("kill", lambda: os.kill(process, signal.SIGKILL))
    attempt("tgkill", lambda: call(CALLS['tgkill'], process, process, 9))
    attempt("pidfd", lambda: signal.pidfd_send_signal(os.pidfd_open(process), signal.SIGKILL))
    attempt("ptrace", lambda: call(CALLS['ptrace'], 16, process, 0, 0))
    attempt("prlimit", lambda: resource.prlimit(process, resource.RLIMIT_NOFILE, (3, 3)))
    attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, process, 19))
    attempt("affinity", lambda: os.sched_setaffinity(process, {0}))
    attempt("scheduler", lambda: os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0)))
attempt("user's priority", lambda: os.setpriority(os.PRIO_USER, os.getuid(), 19) if not inside else 1 / 0)
for place in ("/", "/tmp/..", "/usr", "/etc", "/root", "/work"):
    attempt("chmod", lambda: os.chmod(place, os.stat(place).st_mode & 0o7777))
    attempt("utime", lambda: os.utime(place))
attempt("shared memory", lambda: call(CALLS['shmget'], 1234, 4096, 0o1666) if not inside else 1 / 0)
attempt("unshare", lambda: libc.unshare(0x10000000) and 1 / 0)
attempt("root", lambda: os.setuid(0) if not inside else 1 / 0)
print("done")
"""
)

BOMB = """
import os, time
made = 0
try:
    while made < 500:
        if not os.fork():
            time.sleep(100)
            os._exit(0)
        made += 1
except OSError as error:
    print("refused after", made)
import signal
os.killpg(0, signal.SIGKILL)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_a_server_without_rights_isolates_as_well(level: str) -> None:
    """Processes of the same user cannot be read, signalled, slowed down or limited; files' rights stay."""
    done = unprivileged.run(PROGRAM, level, TRIES, "32")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "done\n\nexit 0" in done.stdout, done.stdout
    assert "BROKE OUT" not in done.stdout, done.stdout
    assert "neighbour None True True" in done.stdout


@pytest.mark.parametrize("level", LEVELS)
def test_a_server_without_rights_bounds_processes(level: str) -> None:
    """A fork bomb ends at the limit, though its user has other processes."""
    done = unprivileged.run(PROGRAM, level, BOMB, "16")
    assert "refused after" in done.stdout, done.stdout + done.stderr
    assert int(done.stdout.partition("refused after ")[2].split()[0]) <= 16
    assert "neighbour None" in done.stdout


@pytest.mark.parametrize("level", [*LEVELS, "limits"])
def test_nothing_is_left_of_a_server_without_rights(level: str) -> None:
    """Its folder goes, whatever the code did to it."""
    source = "import os\nos.mkdir('d')\nopen('d/f', 'w').write('x')\ntry: os.chmod('d', 0)\nexcept OSError: pass\n"
    program = PROGRAM.replace(
        "room.cleanup()", "room.cleanup(); import glob; print('left', glob.glob(f'/tmp/typed-{os.getpid()}-*'))"
    )
    done = unprivileged.run(program, level, source, "32")
    assert "left []" in done.stdout, done.stdout + done.stderr
