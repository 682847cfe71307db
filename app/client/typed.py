"""What is typed, or comes by a pipe, on stdin: whole lines, as they are wanted."""

from __future__ import annotations

import os

READ_BYTES = 65_536
# As the API has it.
LONGEST_LINE = 10_000


class Typed:
    """The lines of stdin; nothing is read before it is wanted."""

    def __init__(self) -> None:
        self._rest = b""
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether there is a line, or the end of all."""
        return self._closed or b"\n" in self._rest or self._too_long

    def reopen(self) -> None:
        """A terminal's end of input is that of one question; the next is asked anew."""
        self._closed = False

    def read(self) -> None:
        """Take what is there."""
        if self._too_long:
            return
        try:
            data = os.read(0, READ_BYTES)
        except OSError:
            data = b""
        self._closed = not data
        self._rest += data

    @property
    def _too_long(self) -> bool:
        """Whether more is there than a line may have, in bytes: it is taken for one, which the server refuses."""
        return len(self._rest) > 4 * LONGEST_LINE

    def line(self) -> str | None:
        """The next line, without its end; None where none is there, and at the end of all."""
        line, end, rest = self._rest.partition(b"\n")
        if not end and not (self._closed and line) and not self._too_long:
            return None
        self._rest = rest
        return line.removesuffix(b"\r").decode("utf-8", "replace").replace("\r", " ")
