"""The arguments of bubblewrap: a process with namespaces of its own, in which Python is there and little else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from app.sandbox.view import INSIDE, View

FOLDER = "/tmp"  # noqa: S108 - of the namespace's own
SHARED = "/dev/shm"  # noqa: S108 - as above
PLACE = "/sandbox"
_DEVICES = ("null", "zero", "full", "random", "urandom")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def arguments(view: View, *, root: bool, network: bool) -> list[str]:
    """What stands between the program's name and the command; not as `root`, a user namespace stands for its rights.

    The command has capabilities that app/inside uses and gives away.
    """
    made = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent"]
    made += [] if network else ["--unshare-net"]
    made += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
    if root:
        made += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        made += ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    for link, target in view.links.items():
        made += ["--symlink", target, link]
    made += [word for words in _files(view) for word in words]
    made += ["--ro-bind", str(INSIDE), f"{PLACE}/inside", "--proc", "/proc"]
    for name in _DEVICES:
        made += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for link, target in _DEVICE_LINKS.items():
        made += ["--symlink", target, f"/dev/{link}"]
    # What bubblewrap made of memory is not to be written to, the root folder last.
    for path in (*reversed(view.hidden), "/"):
        made += ["--remount-ro", path]
    return made


def _files(view: View) -> Iterator[list[str]]:
    """Each path, parents first: without a line of its own, bubblewrap makes a parent that its user alone may enter."""
    shown = {*view.readable, *view.hidden, FOLDER, SHARED}
    parents = {str(parent) for path in (*shown, f"{PLACE}/inside") for parent in Path(path).parents}
    for path in sorted(shown | parents - {"/"}, key=lambda each: Path(each).parts):
        if path in (FOLDER, SHARED):
            yield ["--perms", "1777", "--tmpfs", path]
        elif path in view.hidden:
            yield ["--perms", "755", "--tmpfs", path]
        elif path in view.readable:
            yield ["--ro-bind", path, path]
        elif _nearest(path, shown) not in view.readable:
            yield ["--perms", "755", "--dir", path]


def _nearest(path: str, shown: set[str]) -> str:
    return next((str(parent) for parent in Path(path).parents if str(parent) in shown), "")
