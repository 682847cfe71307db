"""A run's folder on the machine's disk, where no namespace holds it: watched from outside, and removed."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
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
        """The folder is gone afterwards, whatever its rights are."""

        def open_up(_function: object, path: str, _error: object) -> None:
            with suppress(OSError):
                os.chmod(Path(path).parent, stat.S_IRWXU)
                if os.path.isdir(path) and not os.path.islink(path):
                    os.chmod(path, stat.S_IRWXU)
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    os.unlink(path)

        shutil.rmtree(self.path, onerror=open_up)


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


def sweep() -> None:
    """Remove the folders that servers left behind which are no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdigit() and not os.path.exists(f"/proc/{number}"):
            with suppress(OSError):
                Folder(folder, 0, 0).remove()
