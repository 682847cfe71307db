"""Code that tries to reach files outside the folder that it has, at each level that isolates; folders that are left."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.config import load_settings
from app.sandbox import Level
from app.sandbox.folder import make_folder, sweep
from app.sandbox.probe import run
from app.sandbox.room import Needs, make_room
from app.sandbox.view import make_view
from tests.integration.sandbox_fixture import SECONDS, SECRET, TRY, Cell


def test_the_servers_files_are_not_there(cell: Cell) -> None:
    """Keys, settings, the app's own code and other people's homes cannot be read by any way of naming them."""
    app = Path(__file__).parents[2] / "app" / "config.py"
    printed = cell.type(
        TRY
        + """
import os
for path in paths:
    attempt(path, lambda: open(path).read())
    attempt("root " + path, lambda: open("/proc/self/root" + path).read())
    attempt("cwd " + path, lambda: open("/proc/self/cwd/../../../../.." + path).read())
    os.path.lexists("link") and os.unlink("link")
    os.symlink(path, "link")
    attempt("link " + path, lambda: open("link").read())
    attempt("hard " + path, lambda: os.link(path, "hard") or open("hard").read())
    attempt("list " + path, lambda: os.path.basename(path) in os.listdir(os.path.dirname(path)))
    if path in own:
        attempt("rename " + path, lambda: os.rename(path, "mine"))
        attempt("truncate " + path, lambda: os.truncate(path, 0) or True)
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("root's home", lambda: [each for each in os.listdir("/root") if each != ".pyenv"])
""",
        # What would do harm if it succeeded is tried on the test's own files.
        own=[str(cell.key), str(cell.settings_file)],
        paths=[str(cell.key), str(cell.settings_file), str(app), "/etc/hostname"],
    )
    assert "BROKE OUT" not in printed, printed
    assert SECRET not in printed
    assert printed.count("refused") >= 25
    assert cell.key.read_text() == SECRET


def test_nothing_outside_its_folder_can_be_written(cell: Cell) -> None:
    """Files are written in the code's own folder alone, which is gone afterwards."""
    printed = cell.type(
        TRY
        + """
import os, sys
if os.getuid() == 0:
    print("BROKE OUT")
    raise SystemExit
places = ["/", "/tmp/..", "/etc", "/usr", "/usr/bin", "/dev", "/proc", "/root", "/var/tmp", "/run", "/sandbox",
          sys.prefix, sys.base_prefix, os.path.dirname(os.__file__), *outside]
for place in places:
    attempt(f"write in {place}", lambda: open(f"{place}/written-by-code", "w").close() or True)
    attempt(f"mkdir in {place}", lambda: os.mkdir(f"{place}/made-by-code") or True)
    # Without an effect where it succeeds.
    attempt(f"chmod {place}", lambda: os.chmod(place, os.stat(place).st_mode & 0o7777) or True)
    attempt(f"chown {place}", lambda: os.chown(place, os.getuid(), os.getgid()) or True)
    attempt(f"xattr {place}", lambda: os.setxattr(place, "user.x", b"x") or True)
    # At level `landlock` a time may be changed where anybody may write.
    if place != "/var/tmp":
        attempt(f"utime {place}", lambda: os.utime(place) or True)
attempt("append to python", lambda: open(sys.executable, "ab") and True)
attempt("append to a module", lambda: open(os.__file__, "a") and True)
open("own", "w").write("own")
print("wrote")
""",
        outside=[str(cell.folder), str(cell.folder / "instance")],
    )
    assert "BROKE OUT" not in printed, printed
    assert "wrote" in printed
    assert not [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(f"typed-{os.getpid()}-")]
    assert not list(cell.folder.rglob("*-by-code"))


def test_the_servers_files_below_pythons_own_are_masked(tmp_path: Path) -> None:
    """Where the server lies in a folder that code may read, as /usr/lib, its own part of that is empty and stays so."""
    readable = tmp_path / "readable"
    secret = readable / "app" / "instance" / "key"
    secret.parent.mkdir(parents=True)
    secret.write_text(SECRET)
    (readable / "module").write_text("open")
    (readable / "app" / "venv").mkdir()
    (readable / "app" / "venv" / "package").write_text("package")
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(place.stat().st_mode | 0o055)
    view = make_view(load_settings(None))
    view = dataclasses.replace(
        view,
        readable=tuple(sorted({*view.readable, str(readable), str(readable / "app" / "venv")})),
        hidden=(str(readable / "app"),),
    )
    needs = Needs(Level.FULL, view, sys.executable, shutil.which("bwrap") or "", False, 128, 4, 60, 20, 24)
    room = make_room(needs, 1_950_000_000 if os.getuid() == 0 else 0)
    source = f"""
import os
print(open("{readable}/module").read(), open("{readable}/app/venv/package").read())
print(os.listdir("{readable}/app"))
try: open("{readable}/app/mine", "w")
except OSError as error: print("refused", error.errno)
"""
    _, printed = run(room, source, SECONDS)
    assert printed == "open package\n['venv']\nrefused 30\n"
    assert SECRET not in printed


def test_folders_of_dead_servers_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed runner left goes at the next start; what a living one has, others' folders, and links stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    left = make_folder(4, 10, 0).path.rename(tmp_path / f"typed-{dead.pid}-left")
    (left / "folder").mkdir()
    (left / "folder" / "file").write_text("x")
    living = make_folder(4, 10, 0)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (tmp_path / f"typed-{dead.pid}-link").symlink_to(elsewhere)
    before = tmp_path.stat().st_mode
    sweep((os.geteuid() + 1,))
    assert left.exists()
    sweep((os.geteuid(),))
    assert not left.exists()
    assert living.path.exists()
    assert elsewhere.stat().st_mode & 0o777 == 0o755
    assert tmp_path.stat().st_mode == before
    living.remove()
    assert not living.path.exists()
