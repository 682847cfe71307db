"""What typed code prints: a line after silence goes out at once, a flood in larger pieces."""

from __future__ import annotations

import io
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

BUFFER_BYTES = 65_536
PAUSE_SECONDS = 0.005
# Calls that start a program, or become one: what was printed before goes first.
STARTS = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"})


class Quick(io.TextIOWrapper):
    """A text stream that is flushed by its writer after silence, and by a thread while there is more."""

    def __init__(self, descriptor: int) -> None:
        raw = io.FileIO(descriptor, "w", closefd=False)
        super().__init__(
            io.BufferedWriter(raw, BUFFER_BYTES), encoding="utf-8", errors="backslashreplace", newline="\n"
        )
        self._news = threading.Event()
        # Something was written and is not flushed; the thread sees to it; a line has just been flushed by its writer.
        self._waits = self._watched = self._busy = self._alone = False
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """As the stream that it replaces."""
        return "<stdout>"

    def write(self, text: str, /) -> int:
        """As TextIOWrapper."""
        written = super().write(text)
        self._waits = True
        if not self._busy:
            self._begin(text)
        return written

    def _begin(self, text: str) -> None:
        try:
            self._begin_to_flush(text)
        except BaseException:
            # Stop may come here, and the code go on: the next write begins anew.
            self._busy = self._watched = False
            raise

    def _begin_to_flush(self, text: str) -> None:
        if self._alone or text.endswith("\n"):
            self._busy, self._waits = not self._alone, False
            self.flush()
        if self._alone or self._watched:
            return
        self._watched = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="output", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                # The code has as many threads as it may have.
                self.go_alone()
                self.flush()
                return
        self._news.set()

    def _work(self) -> None:
        # The code may replace `time.sleep`.
        never = threading.Event()
        while not self._alone:
            self._news.wait()
            self._news.clear()
            while self._watched and not self._alone:
                never.wait(PAUSE_SECONDS)
                self._pass_on()

    def _pass_on(self) -> None:
        if self._waits:
            self._busy, self._waits = True, False
            with suppress(OSError, ValueError):  # the code has closed it, and hears of it by itself
                self.flush()
        else:
            self._busy = self._watched = False
            # What came in between found it watched.
            self._watched = self._waits

    def go_alone(self) -> None:
        """From now on each write is flushed by itself: in a fork, and at the end."""
        self._alone, self._busy = True, False
        self._news.set()

    def end(self) -> None:
        """The code is over: pass everything on, and have no thread any more."""
        thread = self._thread
        self.go_alone()
        if thread is not None and thread.ident is not None and thread is not threading.current_thread():
            thread.join()
        with suppress(OSError, ValueError):
            self.flush()


class Errors(io.TextIOWrapper):
    """Standard error, line by line, after what was printed before."""

    def __init__(self, descriptor: int, out: Quick) -> None:
        raw = io.FileIO(descriptor, "w", closefd=False)
        super().__init__(
            io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", newline="\n", line_buffering=True
        )
        self._out = out

    @property
    def name(self) -> str:
        """As the stream that it replaces."""
        return "<stderr>"

    def write(self, text: str, /) -> int:
        """As TextIOWrapper."""
        _flush(self._out)
        return super().write(text)


def install() -> Quick:
    """Have all that this process prints go through one, and be in order with what its programs print."""
    out = Quick(sys.stdout.fileno())
    sys.stdout, sys.stderr = out, Errors(sys.stderr.fileno(), out)
    os.register_at_fork(before=lambda: _flush(out), after_in_child=out.go_alone)
    sys.addaudithook(lambda event, _args: _flush(out) if event in STARTS else None)
    leave = os._exit

    def exit_at_once(status: int) -> NoReturn:
        _flush(out)
        leave(status)

    os._exit = exit_at_once
    return out


def _flush(out: Quick) -> None:
    with suppress(OSError, ValueError):
        out.flush()
