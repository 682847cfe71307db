"""The archive: where a run's older output goes, as blocks; a folder now, behind an interface for what may follow.

All of it blocks, so hub code calls it by `call_in_thread`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

from app.store.blocks import Block

RUN_ID = re.compile(r"[A-Za-z0-9_-]{22}")
RIGHTS = 0o700


class Archive(Protocol):
    """Keeps blocks by run; what is put is there for good, or not at all. Raises OSError where it cannot be reached."""

    def put(self, run_id: str, block: Block, data: bytes) -> None:
        """Keep a block; one that is there already is replaced."""

    def blocks(self, run_id: str) -> list[Block]:
        """The blocks of a run, in order; none where the run is unknown."""

    def get(self, run_id: str, block: Block) -> bytes:
        """A block's content.

        Raises: FileNotFoundError.
        """

    def delete(self, run_id: str, block: Block) -> None:
        """Delete a block; nothing happens where it is gone."""

    def delete_run(self, run_id: str) -> None:
        """Delete all blocks of a run; nothing happens where there are none."""

    def runs(self) -> list[tuple[str, float]]:
        """All runs that have something here, each with the time when that changed last, in seconds since the epoch."""


class FolderArchive:
    """A folder with a folder for each run, a file for each block; nobody but its owner may look."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _folder(self, run_id: str) -> Path:
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"no run can have the id {run_id[:40]!r}")
        return self._root / run_id

    def put(self, run_id: str, block: Block, data: bytes) -> None:
        """As Archive.put: written beside its place and to the disk first, so that no half of it is ever seen."""
        folder = self._folder(run_id)
        if not folder.is_dir():
            self._make(folder)
        # mkstemp's files are for their owner alone.
        number, name = tempfile.mkstemp(dir=folder, prefix=".")
        written = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            written.replace(folder / block.name)
        except BaseException:
            with contextlib.suppress(OSError):
                written.unlink(missing_ok=True)
            raise
        _sync(folder)

    def _make(self, folder: Path) -> None:
        if not self._root.is_dir():
            self._root.mkdir(RIGHTS, parents=True, exist_ok=True)
            _sync(self._root.parent)
        folder.mkdir(RIGHTS, exist_ok=True)
        _sync(self._root)

    def blocks(self, run_id: str) -> list[Block]:
        """As Archive.blocks."""
        try:
            names = os.listdir(self._folder(run_id))
        except FileNotFoundError:
            return []
        return sorted(block for block in map(Block.named, names) if block)

    def get(self, run_id: str, block: Block) -> bytes:
        """As Archive.get."""
        return (self._folder(run_id) / block.name).read_bytes()

    def delete(self, run_id: str, block: Block) -> None:
        """As Archive.delete."""
        (self._folder(run_id) / block.name).unlink(missing_ok=True)

    def delete_run(self, run_id: str) -> None:
        """As Archive.delete_run."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder(run_id))

    def runs(self) -> list[tuple[str, float]]:
        """As Archive.runs."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._root) as entries:
            for entry in entries:
                if RUN_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        found.append((entry.name, entry.stat(follow_symlinks=False).st_mtime))
        return found


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
