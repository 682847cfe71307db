"""Blocks of the archive."""

from __future__ import annotations

from app.model import Kind, Record, Status
from app.store.blocks import Block, pack, unpack


def test_what_notes_told_is_not_kept() -> None:
    """Records come out of a block as they went in, but for the news in notes, which would be told again as new."""
    note = Record(5, 1, Kind.STATUS, changes={"status": Status.RUNNING, "progress": (1.0, 2.0)})
    records = [Record(5, data=b"hello", line=1), note, Record(6, data=b"!", line=1)]
    assert unpack(Block.of(records), pack(records)) == [records[0], Record(5, 1, Kind.STATUS), records[2]]
