"""The jobs of the contract that all executors keep: each function is a job of each executor, `NAME_EXECUTOR`."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import date
from enum import Enum

from ._everywhere import everywhere


class Colour(Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


@everywhere()
def typed(*, count: int, day: date, colour: Colour = Colour.BLUE, words: list[str] = [], note: str | None = None):  # noqa: B006
    """Print the parameters as the function gets them."""
    print(repr((count, day, colour, words, note)))


@everywhere()
def injected(user, run, running, token):
    """Print the injected names, use each of them."""
    print(user.name, user.email, run.id, run.user == user, running(), token.api_url)
    print("token", token())
    for done in range(11):
        run.progress(done, 10)


@everywhere()
def means():
    """Print by every means that a Python function has."""
    print("print")
    print("stderr", file=sys.stderr)
    sys.stdout.write("write\n")
    sys.stdout.buffer.write("bytes é\n".encode())
    logging.getLogger("somebody").warning("logging")
    thread = threading.Thread(target=print, args=("thread",))
    thread.start()
    thread.join()

    async def task():
        print("task")

    asyncio.run(task())
    print("prompt> ", end="")


@everywhere("process", "celery")
def outside():
    """Print by what is not Python's: a program, C code, a descriptor, a forked process."""
    print("python")
    subprocess.run(["echo", "program"], check=True)
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'program, stderr\\n')"], check=True)
    library = ctypes.CDLL(None)
    library.puts(b"C code")
    library.fflush(None)
    os.write(1, b"descriptor\n")
    child = os.fork()
    if child == 0:
        print("fork")
        os._exit(0)
    os.waitpid(child, 0)
    print("python again")


@everywhere()
def lines(*, count: int = 10, threads: int = 1, pause: float = 0.0):
    """Print numbered lines, by several threads."""

    def work(name):
        for number in range(count):
            print(f"{name}:{number:07d}")
            if pause:
                time.sleep(pause)

    workers = [threading.Thread(target=work, args=(name,)) for name in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


@everywhere()
def bytes_(*, size: int = 0):
    """Print bytes of all kinds, and one long line."""
    sys.stdout.buffer.write(bytes(range(256)) + b"\xe2\x82 \xf0\x9f\x98\x80 \x00\x1b[31m\r\n" + b"x" * size + b"\n")
    print("🎉 é \ud800")


@everywhere()
def ends(*, how: str):
    """End in a way of one's choice."""
    print("before")
    match how:
        case "return":
            return
        case "exception":
            raise ValueError("it broke <b>here</b>")
        case "half":
            raise ValueError("half of a character: \ud83d")
        case "exit 3":
            sys.exit(3)
        case "exit text":
            sys.exit("a last word")
        case "memory":
            raise MemoryError
        case "close":
            sys.stdout.close()
            print("to stderr", file=sys.stderr)
        case "_exit 4":
            os._exit(4)
        case "segfault":
            ctypes.string_at(1)
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "close 1":
            os.close(1)
            os.write(2, b"to stderr\n")
            sys.exit(5)


@everywhere()
def polite(running):
    """Ask whether to go on."""
    print("working")
    while running():
        time.sleep(0.01)
    print("put away")


@everywhere()
async def cancelled():
    """Wait in asyncio."""
    print("waiting")
    try:
        await asyncio.sleep(600)
    finally:
        print("put away")


@everywhere("process", "celery")
def asleep(*, ignore: str = "", seconds: float = 600.0):
    """Sleep, and ignore what Stop does, down to a stage of it."""
    if ignore in ("interrupt", "terminate"):
        signal.signal(signal.SIGINT, lambda _number, _frame: print("not interrupted"))
    if ignore == "terminate":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("asleep", os.getpid())
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(seconds)


@everywhere("process", "celery")
def family(*, orphan: bool = False):
    """Have a child, one that is in a session of its own and holds the pipes, and one that was forked."""
    reader, writer = os.pipe()
    said = "os.write(1, b'detached %d\\n' % os.getpid())"
    code = f"import os, time; {said}; os.write({writer}, b'!'); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True, pass_fds=[writer])
    subprocess.Popen(["sleep", "600"])
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            # In one write, since others write to the same pipe.
            print(f"forked {os.getpid()}")
            os.write(writer, b"!")
            time.sleep(600)
        os._exit(0)
    os.read(reader, 1)
    os.read(reader, 1)
    print("family", os.getpid())
    if not orphan:
        time.sleep(600)


@everywhere(secrets=["a declared secret"])
def secretive(token):
    """Print what nobody may read."""
    print("declared: a declared secret")
    value = token()
    sys.stdout.write("split: " + value[:10])
    sys.stdout.flush()
    time.sleep(0.05)
    print(value[10:])
    raise RuntimeError(f"it was {value}")


@everywhere()
def tokens(running, token):
    """Want a token before and after Stop."""
    first = token()
    print("first", "ok")
    while running():
        time.sleep(0.02)
    print("again", "ok" if token() and first else "none")


@everywhere("process", "celery")
def surroundings():
    """Print what of the server's surroundings a job sees."""
    print(sorted(os.environ))
    print("stdin", repr(sys.stdin.read()))
    print("open", sorted(os.listdir("/proc/self/fd")))
    print("environ", b"REDIS_URL" in open("/proc/self/environ", "rb").read())


@everywhere("process", "celery")
def leaves(*, count: int):
    """Print a flood, and leave without a word."""
    for number in range(count):
        print(number)
    os._exit(3)


@everywhere(secrets=["a channel's secret"])
def sets_channels(run, *, count: int = 3):
    """Set channels to values of several kinds, in the main thread and in another, then wrongly in each way."""
    channel = run.channel(f"job:{run.id}")
    for number in range(count):
        channel.set(number)
    other = threading.Thread(
        target=run.channel("job:other").set, args=({"text": "a channel's secret", "n": [1, None]},)
    )
    other.start()
    other.join()
    for name, value in (("Updates", 1), ("a b", 1), ("", 1), ("x", object()), ("x", float("nan")), ("x", "x" * 5000)):
        try:
            run.channel(name).set(value)
        except ValueError as error:
            print(str(error)[:8])

    async def task():
        run.channel(f"job:{run.id}").set("done")

    asyncio.run(task())
    print("set", channel.name == f"job:{run.id}")


@everywhere("process", "celery")
def liar():
    """Tell the supervisor again and again that the job has ended, by the way on which its process tells such things."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(number))) as found:
            if found.family == socket.AF_UNIX and found.type == socket.SOCK_STREAM:
                for _ in range(1000):
                    found.sendall(b'{"say": "ended", "exit_code": 0, "message": ""}\n')
    print("lied")
    time.sleep(600)
