"""Blocks: consecutive records of a run, packed into one compressed piece whose name says what is in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import zstandard

from app.model import Record

# Who wrote a block cut it at a few MiB; whatever claims more than this is none of ours.
LARGEST_BYTES = 268_435_456
_NAME = re.compile(r"(\d{1,18})-(\d{1,18})-(\d{1,18})-(\d{1,18})\.zst")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Record])


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """The bytes from `start` to `end` of a run; `line` numbers the first line, `time` is the first record's, in ms.

    Both are 0 in a block without output.
    """

    start: int
    end: int
    line: int
    time: int

    @classmethod
    def of(cls, records: Sequence[Record]) -> Block:
        """The block that these records make; they follow each other, and the last one has bytes, or omits some."""
        first = next((record for record in records if record.data), None)
        line, time = (first.line, int(first.time * 1000)) if first else (0, 0)
        return cls(records[0].start, records[-1].position, line, time)

    @property
    def name(self) -> str:
        """The name, so that a listing is the index; names sort as blocks do."""
        return f"{self.start:015d}-{self.end:015d}-{self.line:013d}-{self.time:014d}.zst"

    @classmethod
    def named(cls, name: str) -> Block | None:
        """The block with this name; None where it is the name of something else."""
        found = _NAME.fullmatch(name)
        return cls(*map(int, found.groups())) if found else None


def pack(records: Sequence[Record]) -> bytes:
    """The records as bytes with a checksum; takes milliseconds for each MiB, so not for the hub.

    What notes tell of a run is left out: it was news.
    """
    kept = [replace(record, changes=None) if record.changes else record for record in records]
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(_ENCODER.encode(kept))


def unpack(block: Block, data: bytes) -> list[Record]:
    """The records of a block; as slow as pack.

    Raises: ValueError where the bytes are damaged, or those of another block.
    """
    try:
        if zstandard.frame_content_size(data) > LARGEST_BYTES:
            raise ValueError("it claims to be larger than any block")
        records = _DECODER.decode(zstandard.ZstdDecompressor().decompress(data))
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from None
    if not records or (records[0].start, records[-1].position) != (block.start, block.end):
        raise ValueError("it holds other output than its name says")
    return records
