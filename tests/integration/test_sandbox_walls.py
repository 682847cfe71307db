"""Code that tries to break out of the sandbox, at each level that isolates; each attempt is code that is typed."""

from __future__ import annotations

import json
import os
import socket
import subprocess

from app.sandbox.probe import start_command
from tests.integration.sandbox_fixture import SECRET, TRY, Cell
from tests.levels import system_calls


def test_ordinary_code_runs(cell: Cell) -> None:
    """Inside the walls Python is whole: packages, threads, processes, files of its own, asyncio."""
    printed = cell.type(
        """
import asyncio, concurrent.futures, hashlib, json, os, sqlite3, ssl, subprocess, sys, tempfile, threading, zoneinfo
import pydantic
from pathlib import Path
with tempfile.NamedTemporaryFile("w+") as file:
    file.write("text"); file.seek(0); print(file.read())
Path("own.txt").write_text("own")
print([each for each in os.listdir() if each.endswith(".txt")], Path.cwd() == Path.home())
print(subprocess.run(["sh", "-c", "echo from a shell"], capture_output=True, text=True).stdout)
print(subprocess.run([sys.executable, "-c", "print('python')"], capture_output=True, text=True).stdout)
with concurrent.futures.ThreadPoolExecutor() as pool: print(sum(pool.map(abs, range(-4, 0))))
child = os.fork()
if not child: os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
sqlite3.connect("data.db").execute("create table t(x)")
Path("data.db").unlink(); os.mkdir("d"); os.rename("d", "e"); os.symlink("e", "link")
await asyncio.sleep(0)
sorted(os.environ)
"""
    )
    assert "text\n['own.txt'] True\nfrom a shell\n\npython\n\n10\n7\n" in printed
    assert "['HOME', 'LANG', 'MALLOC_ARENA_MAX', 'PATH', 'PYTHONDONTWRITEBYTECODE', 'TMPDIR']\n" in printed
    assert printed.endswith("exit 0")


def test_other_processes_are_out_of_reach(cell: Cell, neighbour: subprocess.Popen[bytes]) -> None:
    """No environment, no memory, no descriptors, no signals and no priorities of others."""
    printed = cell.type(
        TRY
        + """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
    return True
def own(process):
    # In a namespace of its own these numbers are those of this code's own processes.
    try: return b"inside.enter" in open(f"/proc/{process}/cmdline", "rb").read()
    except OSError: return False
for process in [each for each in processes if not own(each)]:
    for name in ("environ", "maps", "mem", "cmdline", "root/etc/passwd", "cwd/pyproject.toml"):
        attempt(f"{name} of {process}", lambda: SECRET.encode() in open(f"/proc/{process}/{name}", "rb").read(10**6))
    attempt(f"fd of {process}", lambda: os.listdir(f"/proc/{process}/fd"))
    attempt(f"ptrace {process}", lambda: call(CALLS['ptrace'], 16, process, 0, 0))
    attempt(f"signal {process}", lambda: os.kill(process, signal.SIGCONT) or True)
    if process != processes[0]:
        continue  # what would do harm if it succeeded is tried on the neighbour
    attempt(f"prlimit {process}", lambda: resource.prlimit(process, resource.RLIMIT_NOFILE, (3, 3)) or True)
    attempt(f"priority {process}", lambda: os.setpriority(os.PRIO_PROCESS, process, 19) or True)
    attempt(f"affinity {process}", lambda: os.sched_setaffinity(process, {0}) or True)
    attempt(f"pidfd {process}", lambda: signal.pidfd_send_signal(os.pidfd_open(process), signal.SIGCONT) or True)
    buffer = ctypes.create_string_buffer(64)
    attempt(f"read memory of {process}", lambda: call(CALLS['process_vm_readv'], process, buffer, 1, buffer, 1, 0))
""",
        processes=[neighbour.pid, os.getpid(), os.getppid()],
        SECRET=SECRET,
        CALLS=system_calls("ptrace", "process_vm_readv"),
    )
    assert "BROKE OUT" not in printed, printed
    assert "refused signal" in printed
    assert neighbour.poll() is None


# The real attempt comes only where the test's own processes are out of reach: a broken wall costs no more than that.
EVERYBODY = """
import os, signal
inside = os.getpid() < 10
for process in (neighbour, sibling):
    if not inside:
        try:
            os.kill(process, 0)
            print("BROKE OUT")
            raise SystemExit
        except PermissionError: pass
if os.getuid() == 0:
    print("BROKE OUT")
    raise SystemExit
os.kill(-1, signal.SIGKILL)
"""


def test_killing_everybody_kills_nobody_else(cell: Cell, neighbour: subprocess.Popen[bytes]) -> None:
    """kill(-1) reaches this code's own processes at most; another run of typed code lives on."""
    other = cell.sandbox.room()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = start_command(other, theirs.fileno())
        with subprocess.Popen(command, env=other.env, cwd="/", pass_fds=[theirs.fileno()]) as sibling:
            source = "input('')"
            ours.sendall(json.dumps({"do": "start", "params": {"source": source}}).encode() + b"\n")
            assert json.loads(ours.makefile().readline()) == {"say": "begun"}
            printed = cell.type(EVERYBODY, neighbour=neighbour.pid, sibling=sibling.pid)
            assert "BROKE OUT" not in printed, printed
            assert neighbour.poll() is None
            assert sibling.poll() is None
            sibling.kill()
    other.cleanup()


def test_more_rights_cannot_be_had(cell: Cell) -> None:
    """Setuid programs, new namespaces, mounts, devices, capabilities and other users' numbers are refused."""
    printed = cell.type(
        TRY
        + """
import ctypes, os, shutil, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
    return True
def checked(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), "")
    return True
def works(*command):
    return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000):
    attempt(f"unshare {flag:x}", lambda: checked(libc.unshare(flag)))
    attempt(f"clone {flag:x}", lambda: call(CALLS['clone'], flag | 17, 0, 0, 0, 0))
attempt("unshare the program", lambda: works("unshare", "-Ur", "true"))
attempt("bwrap", lambda: works("bwrap", "--ro-bind", "/", "/", "true"))
attempt("clone3", lambda: call(CALLS['clone3'], ctypes.create_string_buffer(88), 88))
attempt("mount", lambda: checked(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None)))
attempt("remount", lambda: checked(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 32, b"size=1g")))
attempt("chroot", lambda: os.chroot(".") or True)
attempt("setns", lambda: call(CALLS['setns'], 0, 0))
attempt("io_uring", lambda: call(CALLS['io_uring_setup'], 1, ctypes.create_string_buffer(120)))
attempt("bpf", lambda: call(CALLS['bpf'], 0, None, 0))
attempt("keys", lambda: call(CALLS['keyctl'], 0, -3, 0))
attempt("by handle", lambda: call(CALLS['open_by_handle_at'], -100, ctypes.create_string_buffer(64), 0))
attempt("mknod", lambda: os.mknod("device", 0o60600, os.makedev(8, 0)) or True)
attempt("root", lambda: os.setuid(0) or os.getuid() == 0 and "root" or True)
attempt("groups", lambda: os.setgroups([0]) or True)
attempt("kernel", lambda: open("/proc/sys/kernel/hostname", "w").write("x"))
attempt("core pattern", lambda: open("/proc/sys/kernel/core_pattern", "w").write("|/bin/sh"))
attempt("su", lambda: works("su", "-c", "true"))
attempt("sudo", lambda: works("sudo", "-n", "true"))
print("capabilities", ctypes.CDLL(None).prctl(23, 21, 0, 0, 0), os.getuid() == 0)
open("id", "wb").write(open("/usr/bin/id", "rb").read())
try: os.chmod("id", 0o6755)
except OSError: pass
""",
        CALLS=system_calls("clone", "clone3", "setns", "io_uring_setup", "bpf", "keyctl", "open_by_handle_at"),
    )
    assert "BROKE OUT" not in printed, printed
    assert "exit 0" in printed
    if not os.getuid():
        assert "False\n" in printed.partition("capabilities")[2]


def test_nothing_is_inherited(cell: Cell) -> None:
    """But for the three standard descriptors and its control socket the code finds no open descriptor."""
    with open("/etc/shadow" if not os.getuid() else "/etc/passwd", "rb") as held:
        os.set_inheritable(held.fileno(), True)
        printed = cell.type(
            """
import os, stat
found = {}
for number in range(1024):
    try: found[number] = stat.filemode(os.fstat(number).st_mode)[0]
    except OSError: pass
found
"""
        )
    assert "{0: 'c', 1: 'p', 2: 'p', 3: 's'}" in printed, printed
