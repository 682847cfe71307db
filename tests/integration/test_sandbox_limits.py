"""Code that takes more than its share, at each level of the sandbox that isolates."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from app.config import load_settings
from app.sandbox import Level, Sandbox
from app.sandbox.probe import run
from tests.integration.sandbox_fixture import LIMITS, SECONDS, Cell


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
            run(room, f"size, hold = {min(size, 2_000)}, 20\n{FILL.replace('30_000', '12_000')}", 14)
        trouble = room.trouble()
        assert trouble
        # Whichever is seen first.
        assert "files" in trouble or (size and "filled its folder" in trouble)
    finally:
        room.cleanup()
    assert room.trouble() is None


def test_computing_is_bounded(tmp_path: Path, cell: Cell) -> None:
    """A process that computes without end is ended by the kernel."""
    settings = load_settings(None, sandbox=str(cell.sandbox.level), **{**LIMITS, "code_cpu_seconds": 1})
    room = Sandbox(settings).room()
    began = time.monotonic()
    code, _ = run(room, "while True: pass", SECONDS)
    room.cleanup()
    assert code in (-24, 128 + 24, -9, 128 + 9)
    assert time.monotonic() - began < SECONDS
