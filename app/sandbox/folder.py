"""A run's folder on the machine's disk, where no namespace holds it: watched from outside, and removed."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "typed-"
MEGABYTE = 1 << 20
_BLOCK = 512


def make_folder(megabytes: float, entries: int, uid: int) -> Folder:
    """A new one; the user number `uid` owns it, 0: the server's own.

    Raises: OSError.
    """
    folder = Folder(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")), megabytes, entries)
    if uid:
        os.chown(folder.path, uid, uid)
    return folder


@dataclass(frozen=True, slots=True)
class Folder:
    """The kernel bounds the size of each file in it, and nothing their sum but `trouble`."""

    path: Path
    megabytes: float
    entries: int

    def trouble(self) -> str | None:
        """Why the run may not go on, as Room has it."""
        used = count = 0
        folders = [str(self.path)]
        while folders:
            try:
                with os.scandir(folders.pop()) as found:
                    for each in found:
                        count += 1
                        if count > self.entries:
                            return f"It made more than {self.entries} files, which typed code may not."
                        used += each.stat(follow_symlinks=False).st_blocks * _BLOCK
                        if each.is_dir(follow_symlinks=False):
                            folders.append(each.path)
            except FileNotFoundError:
                continue
            except OSError:
                return "It hid its folder from the server."
        used += sum(_deleted(self.path))
        if used > self.megabytes * MEGABYTE:
            return f"It filled its folder: typed code may have {self.megabytes:g} MB there."
        return None

    def remove(self) -> None:
        """The folder is gone afterwards, whatever its rights are; nothing of the run lives any more."""
        shutil.rmtree(self.path, ignore_errors=True)
        if not os.geteuid() or not self.path.exists():
            return
        # The code may have shut folders of its own, which are the server's user's.
        for parent, names, _ in os.walk(self.path):
            for name in names:
                folder = Path(parent, name)
                if not folder.is_symlink():
                    folder.chmod(stat.S_IRWXU)
        shutil.rmtree(self.path, ignore_errors=True)


def _deleted(folder: Path) -> list[int]:
    """The bytes of files in a folder that have no name any more, and are open."""
    found: dict[int, int] = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            for name in os.listdir(f"/proc/{process}/fd"):
                link = f"/proc/{process}/fd/{name}"
                if os.readlink(link).startswith(f"{folder}/"):
                    about = os.stat(link)
                    if not about.st_nlink:
                        found[about.st_ino] = about.st_blocks * _BLOCK
    return list(found.values())


def sweep(owners: Container[int]) -> None:
    """Remove the folders that servers left behind which are no more; those of `owners` alone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            about = folder.lstat()
            if stat.S_ISDIR(about.st_mode) and about.st_uid in owners and not os.path.exists(f"/proc/{number}"):
                Folder(folder, 0, 0).remove()
