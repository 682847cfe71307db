"""`python -m app keys`: the keys and a password for a Redis, shared with a group where root asks for it."""

from __future__ import annotations

import grp
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT

FILES = ("secret.key", "token.keys", "redis/redis_password")


def _keys(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", "keys", *options]
    environment = {**os.environ, "KEY_DIR": str(folder)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_missing_is_made_once(tmp_path: Path) -> None:
    """A second call changes nothing, and nothing is printed."""
    folder = tmp_path / "keys"
    for _ in range(2):
        done = _keys(folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        now = {name: (folder / name).read_text() for name in FILES}
        assert len(now["redis/redis_password"]) >= 43
        before = locals().get("before", now)
        assert now == before
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in FILES} == {0o600}


def test_the_group_may_read_and_nobody_else(tmp_path: Path) -> None:
    """Keys that were there before are shared too; the folder's owner keeps them."""
    group = grp.getgrgid(os.getegid())
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    _keys(folder)
    assert _keys(folder, "--group", group.gr_name).returncode == 0
    for name in FILES:
        found = (folder / name).stat()
        assert (found.st_uid, found.st_gid) == (folder.stat().st_uid, group.gr_gid)
        assert stat.S_IMODE(found.st_mode) == 0o640
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_other_files_of_the_folder_stay_as_they_are(tmp_path: Path) -> None:
    """What is not one of the keys is none of its business."""
    mine = tmp_path / "my.key"
    mine.write_text("mine")
    mine.chmod(0o600)
    assert _keys(tmp_path, "--group", grp.getgrgid(os.getegid()).gr_name).returncode == 0
    assert stat.S_IMODE(mine.stat().st_mode) == 0o600


@pytest.mark.parametrize("group", ["no-such-group", "", "a\nb"])
def test_an_unknown_group_is_named(tmp_path: Path, group: str) -> None:
    """In one line."""
    done = _keys(tmp_path, "--group", group)
    assert done.returncode == 2
    assert done.stderr.startswith("--group: there is no group called ")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_named() -> None:
    """/proc takes no files from anybody."""
    done = _keys(Path("/proc/self/here"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("KEY_DIR: ")
