"""What the log is written by: at once, or by a thread that waits in the hub's place; what becomes of stray output."""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import os
import queue
import threading

STDERR = 2
# Records that wait for a reader of stderr who does not read: a stopped terminal, a pager.
MOST_RECORDS = 10_000
LAST_WORDS_SECONDS = 1.0
LONGEST_LINE = 10_000


def write_now(text: str) -> None:
    """Write to stderr, waiting for whoever reads it."""
    data = text.encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(STDERR, data) :]


class Background:
    """Writes to stderr in a thread: the hub never waits for whoever reads the log, and nobody waits for a lock.

    Records beyond a limit are left out, and counted in a line of their own.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        self._left_out = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.flush)

    def __call__(self, text: str) -> None:
        """Have it written."""
        if self._waiting.qsize() < MOST_RECORDS:
            self._waiting.put(text)
        else:
            self._left_out += 1

    def flush(self) -> None:
        """Wait a moment for what is not written yet."""
        done = threading.Event()
        self._waiting.put(done)
        done.wait(LAST_WORDS_SECONDS)

    def _run(self) -> None:
        while True:
            text = self._waiting.get()
            if isinstance(text, threading.Event):
                text.set()
                continue
            write_now(text)
            if self._left_out and self._waiting.qsize() < MOST_RECORDS // 2:
                left_out, self._left_out = self._left_out, 0
                logging.getLogger("app").error("%d records of this log were left out: nobody read it", left_out)


class Lines(io.TextIOWrapper):
    """A stream in the console's place: each line written to it is a record of the logger with its name."""

    def __init__(self, name: str, level: int) -> None:
        self._sink = _Sink(name, level)
        super().__init__(self._sink, "utf-8", "backslashreplace", newline="\n", write_through=True)  # type: ignore[arg-type]


class _Sink(io.RawIOBase):
    """The bytes of Lines, cut into lines, of each thread apart."""

    def __init__(self, name: str, level: int) -> None:
        self._logger, self._level = logging.getLogger(name), level
        self._number = 1 if name == "stdout" else STDERR
        self._begun = threading.local()

    def writable(self) -> bool:
        """True: it is for writing."""
        return True

    def fileno(self) -> int:
        """The console's descriptor, for programs that are started with it."""
        return self._number

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Log each whole line; what is begun waits for its end."""
        *lines, rest = (getattr(self._begun, "bytes", b"") + bytes(data)).split(b"\n")
        self._begun.bytes = rest if len(rest) < LONGEST_LINE else b""
        for line in lines if self._begun.bytes == rest else [*lines, rest]:
            if line.strip():
                self._logger.log(self._level, "%s", line.decode("utf-8", "backslashreplace"))
        return len(data)
