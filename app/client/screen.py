"""Where the client writes: a run's two outputs, byte for byte, and beside them what the client itself has to say."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import unicodedata

import click

from app.client.exits import clean

OUT, ERR = 1, 2
# A pipe that is ready takes so much without a wait.
PIPE_BUF = select.PIPE_BUF
ERASE = b"\r\x1b[K"
KEPT = 4096


class Gone(Exception):
    """Nobody reads the output any more."""


class Screen:
    """Writes to stdout and stderr. `quiet`: says nothing of its own but errors. `write` never waits for a reader."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.terminal = {fd: _isatty(fd) for fd in (0, OUT, ERR)}
        self._file = {fd: _is_file(fd) for fd in (OUT, ERR)}
        self._drawn = False
        # The line that a terminal's cursor is in, as far as it has come.
        self.begun = b""

    @property
    def talks(self) -> bool:
        """Whether somebody is there who can be asked."""
        return self.terminal[0] and self.terminal[ERR]

    def write(self, fd: int, data: memoryview) -> int:
        """Write what `fd` takes now, once poll has said that it is ready; how many bytes that was.

        Raises: Gone.
        """
        self.erase()
        part = data if self._file[fd] else data[:PIPE_BUF]
        try:
            written = os.write(fd, part)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None
        if self.terminal[fd]:
            self._follow(bytes(part[:written]))
        return written

    def _follow(self, data: bytes) -> None:
        _, end, tail = data.rpartition(b"\n")
        self.begun = (tail if end else self.begun + data)[-KEPT:]

    def say(self, text: str) -> None:
        """A sentence of the client's own."""
        if not self.quiet:
            self.tell(text)

    def tell(self, text: str) -> None:
        """A sentence that also a quiet client says."""
        self.erase()
        # Not in the midst of a line of output.
        begin = "\n" if self.begun and self.terminal[ERR] else ""
        self.begun = b"" if self.terminal[ERR] else self.begun
        styled = click.style(clean(text), dim=True) if self.terminal[ERR] else clean(text)
        _put(f"{begin}{styled}\n".encode("utf-8", "replace"))

    def ask(self, text: str) -> None:
        """A question; its answer is typed behind it."""
        self.erase()
        begin = "\n" if self.begun else ""
        self.begun = b""
        _put(f"{begin}{click.style(clean(text), bold=True)} ".encode())

    def draw(self, text: str) -> None:
        """A line that the next writing erases; only on a terminal, and not in the midst of a line of output."""
        if self.quiet or not self.terminal[ERR] or self.begun:
            return
        try:
            columns = os.get_terminal_size(ERR).columns
        except OSError:
            columns = 80
        line = clean(text).replace("\n", " ")[: columns - 1]
        _put(ERASE + click.style(line, dim=True).encode())
        self._drawn = True

    def erase(self) -> None:
        """Take away what was drawn."""
        if self._drawn:
            self._drawn = False
            _put(ERASE)

    def unwrite(self, typed: str) -> None:
        """Take a line that was typed off the terminal, which its echo in the output writes again."""
        if not (self.terminal[0] and self.terminal[OUT]):
            return
        try:
            columns = os.get_terminal_size(OUT).columns
        except OSError:
            return
        prompt = clean(self.begun.decode("utf-8", "replace"))
        rows = max(_width(prompt + typed) // max(columns, 1), 0) + 1
        with contextlib.suppress(OSError):
            os.write(OUT, b"\x1b[%dA\r\x1b[J" % rows + self.begun)


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return wide + sum(not unicodedata.combining(each) for each in text)


def _put(data: bytes) -> None:
    """To stderr, where it may be closed."""
    while data:
        try:
            data = data[os.write(ERR, data) :]
        except BlockingIOError:
            select.select([], [ERR], [], 1)
        except OSError:
            return


def _isatty(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False
