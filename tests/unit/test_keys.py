"""The server's keys: made once, kept to their owner, and never made up in production."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.config import load_settings
from app.errors import ConfigError
from app.keys import load_keys
from tests.serving import ROOT

A, B = Fernet.generate_key().decode(), Fernet.generate_key().decode()
START = """
import sys
from pathlib import Path
from app.config import load_settings
from app.keys import load_keys
keys = load_keys(load_settings(None, key_dir=Path(sys.argv[1])))
sys.stdout.write(keys.secret_key + " " + keys.fernet.encrypt(b"x").decode())
"""


def test_made_once(tmp_path: Path) -> None:
    """The first start makes keys for their owner's eyes alone; the second has the same."""
    settings = load_settings(None, key_dir=tmp_path / "deep" / "keys")
    first, second = load_keys(settings), load_keys(settings)
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 43
    assert second.fernet.decrypt(first.fernet.encrypt(b"x")) == b"x"
    files = [path for path in settings.key_dir.iterdir() if path.suffix != ".lock"]
    assert {path.name for path in files} == {"secret.key", "token.keys"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_two_installations_have_different_keys(tmp_path: Path) -> None:
    """No key is a constant."""
    one, two = (load_keys(load_settings(None, key_dir=tmp_path / name)) for name in "ab")
    assert one.secret_key != two.secret_key


def test_first_starts_at_once(tmp_path: Path) -> None:
    """Six first starts at the same time end with the same keys."""
    command = [sys.executable, "-c", START, str(tmp_path / "keys")]
    starts = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = [start.communicate(timeout=60)[0].split() for start in starts]
    assert len({secret for secret, _ in answers}) == 1
    keys = load_keys(load_settings(None, key_dir=tmp_path / "keys"))
    assert all(keys.fernet.decrypt(sealed.encode()) == b"x" for _, sealed in answers)


def test_a_start_that_was_cut_off(tmp_path: Path) -> None:
    """A part that a killed start left behind is in nobody's way."""
    (tmp_path / "secret.part").write_text("half a k")
    assert load_keys(load_settings(None, key_dir=tmp_path)).secret_key != "half a k"


def test_keys_of_the_settings(tmp_path: Path) -> None:
    """Keys that the settings give are taken, and no files are made."""
    settings = load_settings(None, secret_key="s" * 32, token_keys=f"{A},{B}", key_dir=tmp_path / "none")
    keys = load_keys(settings)
    assert keys.secret_key == "s" * 32
    assert keys.fernet.decrypt(Fernet(B).encrypt(b"old")) == b"old"
    assert Fernet(A).decrypt(keys.fernet.encrypt(b"new")) == b"new"
    assert not settings.key_dir.exists()


@pytest.mark.parametrize(
    "wrong", ["short", A[:-4], A + "AAAA", "\u00e9" * 44, f"{A},nonsense", f"{A} {B}"], ids=range(6)
)
def test_wrong_token_keys(tmp_path: Path, wrong: str) -> None:
    """A wrong key ends in one line that names the setting and shows nothing of the key."""
    with pytest.raises(ConfigError, match="TOKEN_KEYS: ") as caught:
        load_keys(load_settings(None, token_keys=wrong, key_dir=tmp_path))
    assert wrong not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["secret_key", "token_keys"])
def test_production_makes_no_keys(tmp_path: Path, missing: str) -> None:
    """In production a missing key ends the start, and nothing is made up."""
    values = {
        "environment": "production",
        "client_id": "c",
        "client_secret": "s",
        "redis_url": "redis://localhost",
        "redirect_uri": "https://frt.example/redirect",
        "secret_key": "s" * 32,
        "token_keys": A,
    }
    del values[missing]
    with pytest.raises(ConfigError, match=missing.upper()):
        load_keys(load_settings(None, key_dir=tmp_path / "keys", **values))
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\x00"])
@pytest.mark.parametrize("name", ["secret.key", "token.keys"])
def test_damaged_key_files(tmp_path: Path, name: str, content: bytes) -> None:
    """A damaged key file is named, and stays: a new key in its place would lose what the old one sealed."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"KEY_DIR: .*{name}"):
        load_keys(load_settings(None, key_dir=tmp_path))
    assert (tmp_path / name).read_bytes() == content


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A key folder that cannot be made is named in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="KEY_DIR: "):
        load_keys(load_settings(None, key_dir=tmp_path / "file" / "keys"))


def test_keys_do_not_show(tmp_path: Path) -> None:
    """The object's text holds no key."""
    keys = load_keys(load_settings(None, key_dir=tmp_path))
    assert keys.secret_key not in repr(keys)
