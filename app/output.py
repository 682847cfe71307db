"""A run's output as it is stored, wherever it is: the log for what is new, the archive for what is old."""

from __future__ import annotations

from app.model import Record
from app.store.log import Cursor, Log


class Output:
    """Reading back, by position; whoever shows output asks here."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def read(self, run_id: str, after: Cursor, count: int) -> list[Record]:
        """Up to `count` records after a cursor, in order."""
        return self._log.read(run_id, after, count)
