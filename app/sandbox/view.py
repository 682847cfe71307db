"""What typed code may see of the machine's files: Python and its packages, the system's programs and libraries."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings

INSIDE = Path(__file__).resolve().parent.parent / "inside"
# Of each prefix; never the whole: a system's /usr may hold somebody's project.
_PARTS = ("bin", "sbin", "lib", "lib32", "lib64", "libexec", "share", "include", "pyvenv.cfg")
_SYSTEM = ("/usr", "/usr/local")
_ROOTS = ("bin", "sbin", "lib", "lib32", "lib64")
_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/alternatives", "/etc/ssl", "/usr/lib/ssl")
_FOR_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services")


@dataclass(frozen=True, slots=True)
class View:
    """Paths that are there, parents first: `readable` ones, and `hidden` ones that lie below them.

    `links` are those of the root folder, by name; `reachable`: any user may read the interpreter where it is.
    """

    readable: tuple[str, ...]
    hidden: tuple[str, ...]
    links: dict[str, str]
    reachable: bool


def make_view(settings: Settings) -> View:
    """What this machine's Python needs, and which of the server's own files are not to be seen."""
    prefixes = [*_SYSTEM, sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)]
    prefixes += [os.path.realpath(prefix) for prefix in prefixes]
    paths = {f"{prefix}/{part}" for prefix in prefixes for part in _PARTS}
    paths |= {*_FILES, *(_FOR_NETWORK if settings.code_network == "on" else ())}
    links = {}
    for name in _ROOTS:
        root = Path("/", name)
        if root.is_symlink():
            links[str(root)] = os.readlink(root)
        else:
            paths.add(str(root))
    readable = sorted(path for path in paths if os.path.exists(path))
    hidden = sorted(path for path in _own(settings) if any(_below(path, each) for each in readable))
    interpreter = [sys.executable, os.path.realpath(sys.executable), sys.prefix, sys.base_prefix]
    return View(tuple(readable), tuple(hidden), links, all(map(_open_to_all, interpreter)))


def _own(settings: Settings) -> set[str]:
    folders = [Path(__file__).parent.parent, settings.key_dir, settings.data_dir, settings.archive_folder, Path.cwd()]
    folders += [Path(name) for name in settings.jobs if Path(name).is_dir()]
    return {str(folder.resolve()) for folder in folders if folder.exists()}


def _below(path: str, folder: str) -> bool:
    return Path(os.path.realpath(folder)) in (Path(path), *Path(path).parents)


def _open_to_all(path: str) -> bool:
    places = (Path(path), *Path(path).parents)
    return all(place.stat().st_mode & 0o001 for place in places)
