"""The witness, a job that keeps in a file what it prints, and jobs that do harm; only tests see them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import requests

from app.catalog import job

FLOOD_LINES = 400


class Ledger:
    """Writes each piece to the file, on the disk, before it is printed: the file is never behind the output."""

    def __init__(self, file, seed):
        self.file = open(file, "ab", 0)
        self.lock = threading.Lock()
        self.number = 0
        self.chance = random.Random(seed)
        # A character that has come in part waits for its rest, and what comes to stderr meanwhile goes first.
        self.may_be_in_part = False

    def keep(self, data):
        """Have `data` on the disk."""
        self.file.write(data)
        os.fsync(self.file.fileno())

    def lines(self, count, width=0):
        """Numbered lines, each with the checksum of what stands before it."""
        made = []
        for number in range(self.number, self.number + count):
            text = f"{number},{'x' * width}"
            made.append(f"{text},{zlib.crc32(text.encode()):08x}")
        self.number += count
        return made

    def say(self, count=1, width=0):
        """Print whole lines, now and then to stderr."""
        with self.lock:
            made = self.lines(count, width)
            self.keep("".join(f"{line}\n" for line in made).encode())
            to_err = self.chance.random() < 0.1 and not self.may_be_in_part
            stream = sys.stderr if to_err else sys.stdout
            for line in made:
                print(line, file=stream)

    def blurt(self):
        """Print some bytes, which are text, halves of characters, control characters, or nothing like it."""
        size = self.chance.randrange(1, 3000)
        data = self.chance.choice(
            (self.chance.randbytes(size), "naïve ☃ 🐍\x00\x1b[31m\r\n".encode() * 9, "🐍☃é".encode()[: size % 9 + 1])
        )
        with self.lock:
            self.keep(data)
            self.may_be_in_part = True
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


Kind = Literal["lines", "quiet", "flood", "wide", "threads", "binary"]


@job(grace=60)
def witness(running, *, file: str, kind: Kind = "lines", seconds: float = 2.0, seed: int = 0, last_words: int = 0):
    """Print for some seconds, and write the same bytes to a file; after Stop still some last words."""
    ledger = Ledger(file, seed)
    until = time.monotonic() + seconds

    def go_on():
        return running() and time.monotonic() < until

    def work():
        pauses = {"quiet": 0.7, "flood": 0.002, "wide": 0.05}
        while go_on():
            if kind == "flood":
                ledger.say(FLOOD_LINES)
            elif kind == "wide":
                ledger.say(1, ledger.chance.choice((10, 70_000, 300_000)))
            elif kind == "binary":
                ledger.blurt()
            else:
                ledger.say()
            time.sleep(pauses.get(kind, 0.01))

    children = [threading.Thread(target=work) for _ in range(3 if kind == "threads" else 0)]
    for child in children:
        child.start()
    work()
    for child in children:
        child.join()
    for _ in range(last_words):
        time.sleep(0.02)
        ledger.say()


@job
def pieces(*, text: str, cut: int):
    """Print each character of a text in two parts, the first of `cut` bytes, and some bytes that are no text."""
    out = sys.stdout.buffer
    for character in text:
        data = character.encode()
        for part in (data[:cut], data[cut:]):
            out.write(part)
            out.flush()
            time.sleep(0.003)
    out.write(b"\xff\xc3(\xe2\x98\n")
    print("NUL \x00, ESC \x1b[31m, CR \r\nafter")


@job
def last_words(running, *, seconds: float = 1.0):
    """Go on printing for a while after Stop, from a child thread too, and from a daemon even after the end."""

    def for_ever():
        while True:
            print("daemon")
            time.sleep(0.01)

    def child():
        while running():
            time.sleep(0.01)
        time.sleep(seconds)
        print("the child's last word")

    threading.Thread(target=for_ever, daemon=True).start()
    threading.Thread(target=child).start()
    print("ready")
    while running():
        time.sleep(0.01)
    until = time.monotonic() + seconds / 2
    while time.monotonic() < until:
        print("I know")
        time.sleep(0.02)


@job
def without_stdout(running):
    """Close stdout, and go on."""
    print("before")
    sys.stdout.close()
    number = 0
    while running():
        number += 1
        print("still here", number, file=sys.stderr)
        time.sleep(0.05)
    sys.exit(7)


@job
async def nested():
    """Print from threads of pools of tasks, and what programs print."""

    def program(name):
        command = [sys.executable, "-c", "import sys; print('from', sys.argv[1])", name]
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")

    def in_pool(name):
        print("worker", name)
        inner = threading.Thread(target=print, args=("thread", name))
        inner.start()
        inner.join()
        asyncio.run(task(f"{name} again"))

    async def task(name):
        await asyncio.sleep(0.001)
        print("task", name)
        await asyncio.to_thread(print, "to_thread", name)

    def both(name):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(in_pool, (f"{name}.1", f"{name}.2")))

    await asyncio.gather(task("a"), task("b"), asyncio.to_thread(both, "c"))
    await asyncio.to_thread(program, "a program")
    threading.Thread(target=both, args=("d",)).start()


@job
def crash(*, how: Literal["exit", "signal", "memory"]):
    """Take the whole web process along."""
    print("goodbye", flush=True)
    # Whoever pressed Start has an answer by then.
    time.sleep(2)
    if how == "exit":
        os._exit(5)
    elif how == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    else:
        ctypes.string_at(0)


@job
def flood(running, *, megabytes: int = 100):
    """Print lines of 100 characters until it is so much, or Stop."""
    line = "x" * 89
    for number in range(megabytes * 10_000):
        print(f"{number:09d} {line}")
        if number % 1000 == 0 and not running():
            return


@job(grace=60)
def tokens(running, token):
    """Take a token, and after Stop one in each of twenty threads at once."""
    first = token()
    print("first ok")
    while running():
        time.sleep(0.01)
    together = threading.Barrier(20)

    def take():
        together.wait()
        mine = token()
        answer = requests.get(f"{token.api_url}/people/me", headers={"Authorization": f"Bearer {mine}"}, timeout=10)
        print("then", "ok" if answer.ok and mine != first else answer.status_code)

    for _ in range(20):
        threading.Thread(target=take).start()
