"""The server's own keys: from the settings, or made at the first start in development."""

from __future__ import annotations

import fcntl
import grp
import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from app.config import Settings
from app.errors import ConfigError

# What a Redis of its own and the web server share, in a folder that has nothing else in it.
PASSWORD = Path("redis", "redis_password")
SHARED = ("secret.key", "token.keys", "keys.lock", PASSWORD.parent, PASSWORD, PASSWORD.with_name("keys.lock"))
READABLE, ENTERABLE = 0o040, 0o050  # for the group, on top of what is allowed anyway
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


@dataclass(frozen=True)
class Keys:
    """`secret_key` signs what browsers send back; `fernet` encrypts tokens by its newest key, and opens with each."""

    secret_key: str = field(repr=False)
    fernet: MultiFernet = field(repr=False)


def load_keys(settings: Settings) -> Keys:
    """The keys; those that the settings lack are made in `settings.key_dir` once, readable by their owner alone.

    In production the settings have them all: they are not valid without.

    Raises: ConfigError naming TOKEN_KEYS or KEY_DIR.
    """
    secret = settings.secret_key.get_secret_value()
    tokens = [key.get_secret_value() for key in settings.token_keys]
    if not secret:
        secret = _own(settings, "secret.key", lambda: secrets.token_urlsafe(32))
    if not tokens:
        tokens = _own(settings, "token.keys", lambda: Fernet.generate_key().decode()).split(",")
    return Keys(secret, _fernet(tokens))


def make_keys(settings: Settings, group: str | None) -> None:
    """Make what is missing in `settings.key_dir`; with `group` the folder's owner and that group may read it.

    Raises: ConfigError naming TOKEN_KEYS, KEY_DIR or the group.
    """
    load_keys(settings)
    _own(settings, PASSWORD, lambda: secrets.token_urlsafe(32))
    if group is not None:
        _share(settings.key_dir, group)


def _share(folder: Path, group: str) -> None:
    try:
        number = grp.getgrnam(group).gr_gid
        owner = folder.stat().st_uid
        for path in filter(Path.exists, (folder, *(folder / name for name in SHARED))):
            os.chown(path, owner, number)
            path.chmod(stat.S_IMODE(path.stat().st_mode) | (ENTERABLE if path.is_dir() else READABLE))
    except KeyError:
        raise ConfigError(f"--group: there is no group called {group!r}") from None
    except OSError as error:
        raise ConfigError(f"KEY_DIR: {error.filename or folder} cannot be shared: {error.strerror}") from None


def _fernet(keys: list[str]) -> MultiFernet:
    # Fernet itself would pass over characters that do not belong, and two keys joined by mistake.
    if not all(map(_FERNET_KEY.fullmatch, keys)):
        raise ConfigError("TOKEN_KEYS: each key must be 32 bytes in URL-safe base64 (a Fernet key)")
    return MultiFernet([Fernet(key) for key in keys])


def _own(settings: Settings, name: str | Path, make: Callable[[], str]) -> str:
    path = settings.key_dir / name
    try:
        text = _read_or_make(path, make).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"KEY_DIR: the key file {path} cannot be used: {reason}") from None
    if not text:
        raise ConfigError(f"KEY_DIR: the key file {path} is empty; restore it, or delete it to have a new key made")
    return text


def _read_or_make(path: Path, make: Callable[[], str]) -> str:
    if path.exists():
        return path.read_text("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / "keys.lock").open("w") as lock:
        # Two first starts at once must end with one key: what one encrypts the other has to open.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
    return path.read_text("utf-8")
