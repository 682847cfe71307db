"""Code that tries to break out of the sandbox, at each level that isolates; each attempt is code that is typed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.config import load_settings
from app.sandbox import Level, Sandbox
from app.sandbox.folder import make_folder, sweep
from app.sandbox.probe import run, start_command
from app.sandbox.room import Needs, Room, make_room
from app.sandbox.view import make_view
from tests.levels import LEVELS, system_calls

SECRET = "canary-of-the-server"
LIMITS = {"code_memory_megabytes": 128, "code_disk_megabytes": 4, "code_cpu_seconds": 20, "code_processes": 24}
SECONDS = 60.0


class Cell:
    """A sandbox at one level, and a server's things around it."""

    def __init__(self, level: str, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        for name in ("instance", "redis_data"):
            (folder / name).mkdir()
        self.key = folder / "instance" / "secret_key"
        self.settings_file = folder / "webexintegration.env"
        for file in (self.key, self.settings_file):
            file.write_text(SECRET)
            file.chmod(0o666)
        self.sandbox = Sandbox(
            load_settings(
                None,
                sandbox=level,
                sandbox_minimum=level,
                key_dir=str(folder / "instance"),
                data_dir=str(folder / "redis_data"),
                **LIMITS,
            )
        )
        self.rooms: list[Room] = []

    def type(self, source: str, **given: Any) -> str:
        """What such code prints, with its exit code in the last line; it has the names `given`."""
        room = self.sandbox.room()
        try:
            head = "".join(f"{name} = {value!r}\n" for name, value in given.items())
            code, printed = run(room, head + source, SECONDS)
        finally:
            room.cleanup()
        return f"{printed}\nexit {code}"


@pytest.fixture(scope="module", params=LEVELS)
def cell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cell:
    """A sandbox at each level that isolates and that this machine can grant."""
    assert request.param in ("full", "landlock"), "behind any other wall these attempts would succeed"
    made = Cell(request.param, tmp_path_factory.mktemp("cell"))
    assert made.sandbox.level is Level(request.param), made.sandbox.reasons
    return made


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the server's user, with a secret in its environment."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"SECRET": SECRET}) as process:
        yield process
        process.kill()


TRY = """
import json
def attempt(name, what):
    try:
        got = what()
        print("BROKE OUT" if got is None or got else "nothing", name, repr(got)[:300])
    except Exception as error:
        print("refused", name, type(error).__name__)
"""


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


def test_the_servers_files_are_not_there(cell: Cell) -> None:
    """Keys, settings, the app's own code and other people's homes cannot be read by any way of naming them."""
    app = Path(__file__).parents[2] / "app" / "config.py"
    printed = cell.type(
        TRY
        + """
import os
for path in paths:
    attempt(path, lambda: open(path).read())
    attempt("root " + path, lambda: open("/proc/self/root" + path).read())
    attempt("cwd " + path, lambda: open("/proc/self/cwd/../../../../.." + path).read())
    os.path.lexists("link") and os.unlink("link")
    os.symlink(path, "link")
    attempt("link " + path, lambda: open("link").read())
    attempt("hard " + path, lambda: os.link(path, "hard") or open("hard").read())
    attempt("list " + path, lambda: os.path.basename(path) in os.listdir(os.path.dirname(path)))
    if path in own:
        attempt("rename " + path, lambda: os.rename(path, "mine"))
        attempt("truncate " + path, lambda: os.truncate(path, 0) or True)
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("root's home", lambda: [each for each in os.listdir("/root") if each != ".pyenv"])
""",
        # What would do harm if it succeeded is tried on the test's own files.
        own=[str(cell.key), str(cell.settings_file)],
        paths=[str(cell.key), str(cell.settings_file), str(app), "/etc/hostname"],
    )
    assert "BROKE OUT" not in printed, printed
    assert SECRET not in printed
    assert printed.count("refused") >= 25
    assert cell.key.read_text() == SECRET


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


def test_the_store_is_out_of_reach(cell: Cell, valkey_url: str) -> None:
    """The store's Unix socket and TCP ports of this machine cannot be connected to; nor abstract sockets."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0realtime-" + str(os.getpid()))
        abstract.listen()
        printed = cell.type(
            TRY
            + """
import socket
def connect(kind, place, how=socket.SOCK_STREAM):
    with socket.socket(kind, how) as each:
        each.settimeout(3)
        each.connect(place)
        if how == socket.SOCK_DGRAM:
            each.send(b"x")
    return True
attempt("unix", lambda: connect(socket.AF_UNIX, store))
attempt("unix datagram", lambda: connect(socket.AF_UNIX, store, socket.SOCK_DGRAM))
attempt("abstract", lambda: connect(socket.AF_UNIX, abstract))
attempt("tcp", lambda: connect(socket.AF_INET, ("127.0.0.1", port)))
attempt("tcp 6", lambda: connect(socket.AF_INET6, ("::ffff:127.0.0.1", port)))
attempt("redis", lambda: connect(socket.AF_INET, ("127.0.0.1", 6379)))
""",
            store=valkey_url.removeprefix("unix://"),
            abstract="\0realtime-" + str(os.getpid()),
            port=tcp.getsockname()[1],
        )
    assert "BROKE OUT" not in printed, printed
    assert printed.count("refused") == 6


def test_there_is_no_network(cell: Cell) -> None:
    """No metadata address, no TCP, UDP, DNS, raw or netlink sockets to anywhere, and nobody can connect in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        printed = cell.type(
            TRY
            + """
import socket
def send(kind, how, place, connects=True, protocol=0):
    with socket.socket(kind, how, protocol) as each:
        each.settimeout(2)
        each.connect(place) if connects else each.sendto(b"x", place)
    return True
attempt("metadata", lambda: send(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)))
attempt("metadata 6", lambda: send(socket.AF_INET6, socket.SOCK_STREAM, ("fd00:ec2::254", 80)))
attempt("udp", lambda: send(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port), connects=False) and False)
attempt("udp out", lambda: send(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53), connects=False))
attempt("dns", lambda: socket.getaddrinfo("example.org", 443))
attempt("raw", lambda: send(socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0), False, socket.IPPROTO_ICMP))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW))
attempt("netlink", lambda: socket.socket(16, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
import urllib.request
attempt("http", lambda: urllib.request.urlopen("http://169.254.169.254/latest/meta-data/", timeout=2).read())
""",
            port=listening.getsockname()[1],
        )
        with pytest.raises(BlockingIOError):
            listening.recv(10)
    assert "BROKE OUT" not in printed, printed


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


def test_nothing_outside_its_folder_can_be_written(cell: Cell) -> None:
    """Files are written in the code's own folder alone, which is gone afterwards."""
    before = set(os.listdir(tempfile.gettempdir()))
    printed = cell.type(
        TRY
        + """
import os, sys
if os.getuid() == 0:
    print("BROKE OUT")
    raise SystemExit
places = ["/", "/tmp/..", "/etc", "/usr", "/usr/bin", "/dev", "/proc", "/root", "/var/tmp", "/run", "/sandbox",
          sys.prefix, sys.base_prefix, os.path.dirname(os.__file__), *outside]
for place in places:
    attempt(f"write in {place}", lambda: open(f"{place}/written-by-code", "w").close() or True)
    attempt(f"mkdir in {place}", lambda: os.mkdir(f"{place}/made-by-code") or True)
    # Without an effect where it succeeds.
    attempt(f"chmod {place}", lambda: os.chmod(place, os.stat(place).st_mode & 0o7777) or True)
    attempt(f"chown {place}", lambda: os.chown(place, os.getuid(), os.getgid()) or True)
    attempt(f"xattr {place}", lambda: os.setxattr(place, "user.x", b"x") or True)
    # At level `landlock` a time may be changed where anybody may write.
    if place != "/var/tmp":
        attempt(f"utime {place}", lambda: os.utime(place) or True)
attempt("append to python", lambda: open(sys.executable, "ab") and True)
attempt("append to a module", lambda: open(os.__file__, "a") and True)
open("own", "w").write("own")
print("wrote")
""",
        outside=[str(cell.folder), str(cell.folder / "instance")],
    )
    assert "BROKE OUT" not in printed, printed
    assert "wrote" in printed
    assert not [name for name in set(os.listdir(tempfile.gettempdir())) - before if name.startswith("typed-")]
    assert not list(cell.folder.rglob("*-by-code"))


def test_a_fork_bomb_ends_at_the_limit(cell: Cell) -> None:
    """Processes beyond the limit are refused; this machine goes on, and none is left."""
    printed = cell.type(
        """
import os, time
made = 0
while True:
    try:
        if not os.fork():
            time.sleep(100)
            os._exit(0)
        made += 1
        if made > 1000:
            break
    except OSError as error:
        print("refused after", made, type(error).__name__)
        break
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.killpg(0, signal.SIGTERM)
"""
    )
    assert "refused after" in printed, printed
    assert int(printed.partition("refused after ")[2].split()[0]) <= LIMITS["code_processes"]
    assert subprocess.run(["true"], check=False).returncode == 0


def test_a_thread_bomb_ends_at_the_limit(cell: Cell) -> None:
    """Threads count like processes."""
    printed = cell.type(
        """
import os, threading
stop = threading.Event()
made = []
try:
    while len(made) < 1000:
        made.append(threading.Thread(target=stop.wait))
        made[-1].start()
except (RuntimeError, MemoryError) as error:
    print("refused after", len(made) - 1)
stop.set()
"""
    )
    assert "refused after" in printed, printed
    assert int(printed.partition("refused after ")[2].split()[0]) <= LIMITS["code_processes"]


@pytest.mark.parametrize(
    "source",
    [
        "held = bytearray(400_000_000)",
        "held = []\nwhile True: held.append(bytes(10_000_000))",
        "import mmap\nheld = [mmap.mmap(-1, 2_000_000_000)]",
        "held = 'x' * 10**12",
    ],
)
def test_a_memory_bomb_is_a_memory_error(cell: Cell, source: str) -> None:
    """Memory beyond the limit is refused where it is asked for."""
    printed = cell.type(source)
    assert "MemoryError" in printed or "Cannot allocate memory" in printed, printed
    assert printed.endswith("exit 1")


def test_files_are_bounded(cell: Cell) -> None:
    """A file beyond the folder's size, too many open ones, and a core file are refused."""
    printed = cell.type(
        """
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with open("large", "wb") as file:
        while True: file.write(bytes(100_000))
except OSError as error: print("refused", error.errno)
print(os.path.getsize("large") <= 4 * 2**20)
held = []
try:
    while True: held.append(os.open("large", os.O_RDONLY))
except OSError as error: print("refused", error.errno)
print(len(held) < 300)
import resource
resource.getrlimit(resource.RLIMIT_CORE)
"""
    )
    assert printed.count("refused") == 2, printed
    assert printed.count("True") == 2
    assert "(0, 0)\n" in printed


FILL = """
import os, signal, time
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
count = 0
try:
    while count < 30_000:
        count += 1
        with open(f"file{count}", "wb") as file: file.write(bytes(size))
except OSError as error: print("refused", error.errno, count, flush=True)
time.sleep(hold)
"""


@pytest.mark.parametrize("size", [1_000_000, 0], ids=["bytes", "names"])
def test_the_disk_cannot_be_filled(cell: Cell, size: int) -> None:
    """Many files: the kernel refuses them, or whoever watches the folder sees that it has to end the run."""
    room = cell.sandbox.room()
    try:
        if cell.sandbox.level is Level.FULL:
            _, printed = run(room, f"size, hold = {size}, 0\n{FILL}", SECONDS)
            assert "refused 28" in printed
            return
        with pytest.raises(subprocess.TimeoutExpired):
            run(room, f"size, hold = {min(size, 200_000)}, 20\n{FILL.replace('30_000', '12_000')}", 8)
        trouble = room.trouble()
        assert trouble
        # Whichever is seen first.
        assert "files" in trouble or (size and "filled its folder" in trouble)
    finally:
        room.cleanup()
    assert room.trouble() is None


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


def test_computing_is_bounded(tmp_path: Path, cell: Cell) -> None:
    """A process that computes without end is ended by the kernel."""
    settings = load_settings(None, sandbox=str(cell.sandbox.level), **{**LIMITS, "code_cpu_seconds": 1})
    room = Sandbox(settings).room()
    began = time.monotonic()
    code, _ = run(room, "while True: pass", SECONDS)
    room.cleanup()
    assert code in (-24, 128 + 24, -9, 128 + 9)
    assert time.monotonic() - began < SECONDS


def test_the_network_comes_alone(cell: Cell) -> None:
    """With CODE_NETWORK=on code reaches this machine's TCP and UDP, and still no Unix socket, file or process."""
    settings = load_settings(None, sandbox=str(cell.sandbox.level), code_network="on", key_dir=str(cell.key.parent))
    sandbox = Sandbox(settings)
    assert sandbox.level is cell.sandbox.level, sandbox.report
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0network-" + str(os.getpid()))
        abstract.listen()
        room = sandbox.room()
        source = f"""
import asyncio, socket
socket.create_connection(("127.0.0.1", {tcp.getsockname()[1]})).close()
print("connected")
print(socket.getaddrinfo("localhost", 80)[0][4][1])
for how in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
        with socket.socket(socket.AF_UNIX, how) as each: each.connect("\\0network-{os.getpid()}")
        print("BROKE OUT")
    except OSError: print("refused")
try: print("BROKE OUT", open({str(cell.key)!r}).read())
except OSError: print("refused")
"""
        code, printed = run(room, source, SECONDS)
        room.cleanup()
    assert code == 0, printed
    assert "connected\n80\n" in printed
    assert printed.count("refused") == 3
    assert "BROKE OUT" not in printed


def test_the_servers_files_below_pythons_own_are_masked(tmp_path: Path) -> None:
    """Where the server lies in a folder that code may read, as /usr/lib, its own part of that is empty and stays so."""
    readable = tmp_path / "readable"
    secret = readable / "app" / "instance" / "key"
    secret.parent.mkdir(parents=True)
    secret.write_text(SECRET)
    (readable / "module").write_text("open")
    (readable / "app" / "venv").mkdir()
    (readable / "app" / "venv" / "package").write_text("package")
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(place.stat().st_mode | 0o055)
    view = make_view(load_settings(None))
    view = dataclasses.replace(
        view,
        readable=tuple(sorted({*view.readable, str(readable), str(readable / "app" / "venv")})),
        hidden=(str(readable / "app"),),
    )
    needs = Needs(Level.FULL, view, sys.executable, shutil.which("bwrap") or "", False, 128, 4, 60, 20, 24)
    room = make_room(needs, 1_950_000_000 if os.getuid() == 0 else 0)
    source = f"""
import os
print(open("{readable}/module").read(), open("{readable}/app/venv/package").read())
print(os.listdir("{readable}/app"))
try: open("{readable}/app/mine", "w")
except OSError as error: print("refused", error.errno)
"""
    _, printed = run(room, source, SECONDS)
    assert printed == "open package\n['venv']\nrefused 30\n"
    assert SECRET not in printed


def test_folders_of_dead_servers_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed runner left goes at the next start; what a living one has, others' folders, and links stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    left = make_folder(4, 10, 0).path.rename(tmp_path / f"typed-{dead.pid}-left")
    (left / "folder").mkdir()
    (left / "folder" / "file").write_text("x")
    living = make_folder(4, 10, 0)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (tmp_path / f"typed-{dead.pid}-link").symlink_to(elsewhere)
    before = tmp_path.stat().st_mode
    sweep((os.geteuid() + 1,))
    assert left.exists()
    sweep((os.geteuid(),))
    assert not left.exists()
    assert living.path.exists()
    assert elsewhere.stat().st_mode & 0o777 == 0o755
    assert tmp_path.stat().st_mode == before
    living.remove()
    assert not living.path.exists()
