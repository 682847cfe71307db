"""The bounded way of a flood: a text stream in C that comes back to Python for every 64 KiB, and then may have to wait.

The unbounded one, a list's `append`, is faster, and relies on the flusher to take away what is there. The flusher needs
the interpreter's lock for that. A thread that lets go of this lock often, for a moment each time, such as one that
reads a file as it prints, never holds it for a whole switch interval: nobody may ask it to let go, and it has the lock
back before the flusher is awake. So for most of a second nobody takes anything away, while it may print gigabytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

CHUNK_BYTES = 65_536


class _Chunks(io.BufferedIOBase):
    """What the text stream writes its chunks to."""

    # Asked at each write: as an attribute of the class it costs least.
    closed = False

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take

    def writable(self) -> bool:
        """True: it is for writing."""
        return True

    def write(self, data: Any) -> int:
        """Hand a chunk over."""
        self._take(data)
        return len(data)

    def close(self) -> None:
        """Nothing: the garbage collector calls this for the writers of threads that have ended."""


class Bounded:
    """Texts that one thread writes, encoded and handed to `take` in chunks; any thread may call `hand_over`."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        chunks: Any = _Chunks(take)
        self._text = io.TextIOWrapper(chunks, encoding="utf-8", errors="backslashreplace", newline="\n")
        self._text._CHUNK_SIZE = CHUNK_BYTES  # type: ignore[attr-defined]
        self.write: Callable[[str], object] = self._text.write
        self.hand_over: Callable[[], object] = self._text.flush
