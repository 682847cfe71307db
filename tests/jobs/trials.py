"""Jobs that try what a job may do; only tests see them."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from app.catalog import job


@job
def lines(running, *, count: int = 10, threads: int = 1, pause: float = 0.0, width: int = 0):
    """Print numbered lines, from child threads too."""

    def work(name: int) -> None:
        for number in range(count):
            if not running():
                return
            print(f"{name}.{number}" + "x" * width if threads > 1 else f"{number:0{width}d}")
            if pause:
                time.sleep(pause)

    children = [threading.Thread(target=work, args=(name,)) for name in range(1, threads)]
    for child in children:
        child.start()
    work(0)
    for child in children:
        child.join()


@job
def everything():
    """Print by every means."""
    print("print")
    print("stderr", file=sys.stderr)
    logging.getLogger("trial").warning("logging")
    thread = threading.Thread(target=print, args=("thread",))
    thread.start()
    thread.join()
    with ThreadPoolExecutor() as pool:
        pool.submit(print, "pool").result()

    async def task():
        print("task")

    asyncio.run(task())
    sys.stdout.buffer.write("bytes é\n".encode())
    print("no newline", end="")


@job
def ends(*, how: str):
    """End in a way of one's choice."""
    print("before")
    match how:
        case "exception":
            raise ValueError("it broke <b>here</b>")
        case "exit 3":
            sys.exit(3)
        case "exit text":
            sys.exit("a last word")
        case "exit 0":
            sys.exit(0)
        case "closed":
            sys.stdout.close()
        case "replaced":
            sys.stdout = sys.stderr = open(os.devnull, "w")
        case "interrupt":
            raise KeyboardInterrupt
        case "thread":
            threading.Timer(0.2, print, ("late",)).start()
        case "daemon":
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


@job
def silent():
    """Print nothing."""


@job
def huge(*, size: int = 10_000_000):
    """Print one line of many bytes."""
    print("x" * size)


@job
def who(token, user, run, *, twice: bool = False):
    """Print the injected names; the token must be masked."""
    print(user.label, run.id)
    value = token()
    print("token:", value, "again" if twice else "")
    sys.stdout.write("split: " + value[:10])
    sys.stdout.flush()
    time.sleep(0.05)
    print(value[10:])
    for done in range(11):
        run.progress(done, 10)


@job
async def sleeper(*, seconds: float = 600.0):
    """Sleep in asyncio."""
    print("sleeping")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        print("cancelled")
        raise


@job
def stubborn(*, seconds: float = 600.0):
    """Look at nothing and sleep."""
    print("sleeping")
    time.sleep(seconds)


@job
def hostile():
    """Print what a terminal or a browser might act on."""
    print("<img src=x onerror=alert(1)><script>alert(2)</script>")
    print("\x1b]8;;javascript:alert(3)\x07link\x1b]8;;\x07")
    print("\x1b]52;c;ZXZpbA==\x07\x1b]0;evil title\x07after")
    sys.stdout.buffer.write(b"\xff\x00\xfe broken \xe2\x82\n")


@job
def child():
    """Start a program; in a thread its output is the program's own matter."""
    done = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True)
    print(done.stdout, end="")


@job
def heartbeat(running, *, file: str):
    """Print, and write the same lines to a file at once."""
    with open(file, "w") as beats:
        number = 0
        while running():
            number += 1
            print(f"beat {number}")
            beats.write(f"beat {number}\n")
            beats.flush()
            time.sleep(0.01)


@job
def coloured(*, count: int = 10):
    """Print numbered lines with colour codes in the midst of words."""
    for number in range(count):
        print(f"a \x1b[1;31mwo\x1b[0mrd \x1b[38;5;208m{number}\x1b[0m done\r")
