"""The logins that the client keeps: a token for each server, in a file that its user alone may read."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from app.client.exits import DENIED, Failure

DEFAULT_URL = "http://localhost:5000"
LOCAL = ("localhost", "127.0.0.1", "::1")
TOKENS_PAGE = "/tokens"
API = "/api/v1.0"


@dataclass(frozen=True)
class Login:
    """A server's address, and a token for it, which may be empty."""

    url: str
    token: str


def file() -> Path:
    """The file, in the folder where this user's programs keep such things."""
    return Path(click.get_app_dir("flask-realtime")) / "logins.json"


def address(text: str) -> str:
    """A server's address without what does not belong to it.

    Raises: click.UsageError.
    """
    text = text.strip()
    given = text if "://" in text else f"http://{text}"
    try:
        found = urlsplit(given)
        port = found.port
    except ValueError:
        raise click.UsageError(f"{text!r} is no address. One is for example {DEFAULT_URL}") from None
    if found.scheme not in ("http", "https") or not found.hostname or found.username or found.query or found.fragment:
        raise click.UsageError(f"{text!r} is no address of a server. One is for example {DEFAULT_URL}")
    if not all(character.isprintable() and character not in "\\ " for character in given):
        raise click.UsageError(f"{text!r} is no address of a server: it has characters that none has")
    host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    path = found.path.rstrip("/").removesuffix(API)
    return f"{found.scheme}://{host}{'' if port is None else f':{port}'}{path.rstrip('/')}"


def is_local(url: str) -> bool:
    """Whether the server is on this machine."""
    return urlsplit(url).hostname in LOCAL


def find(url: str | None, token: str | None) -> Login:
    """The login for a command: what it was told, else what is kept. A kept token goes to its own server alone.

    Raises: Failure where there is none; click.UsageError.
    """
    kept = read()
    place = address(url) if url else kept["current"]
    if not place:
        raise Failure("No server is known. Log in: python -m app login", DENIED)
    secret = token or kept["tokens"].get(place)
    if not secret:
        raise Failure(f"There is no token for {place}. Log in: python -m app login --url {place}", DENIED)
    return Login(place, checked(secret))


def checked(token: str) -> str:
    """A token, if it may be one.

    Raises: Failure.
    """
    token = token.strip()
    if not (token.isascii() and token.isprintable()) or not token or " " in token:
        raise Failure("This is no token: a token is one word of letters and digits.", DENIED)
    return token


def read() -> dict[str, Any]:
    """What is kept: `{"current": URL or "", "tokens": {URL: TOKEN}}`; one that others could read is made private.

    Raises: Failure.
    """
    path = file()
    try:
        with path.open(encoding="utf-8") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                os.fchmod(opened.fileno(), 0o600)
                click.echo(
                    f"Others could read {path}: now they cannot. Revoke its tokens if they might have.", err=True
                )
            found = json.load(opened)
    except FileNotFoundError:
        return {"current": "", "tokens": {}}
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", DENIED) from None
    except ValueError:
        found = None
    if not _is_right(found):
        raise Failure(f"{path} is damaged. Remove it, and log in again.", DENIED)
    return dict(found)


def keep(login: Login) -> None:
    """Keep a login; it is the one that the next commands use.

    Raises: Failure.
    """
    kept = read()
    _write({"current": login.url, "tokens": {**kept["tokens"], login.url: login.token}})


def forget(url: str) -> bool:
    """Forget the token of a server; whether there was one.

    Raises: Failure.
    """
    kept = read()
    found = kept["tokens"].pop(url, None) is not None
    if kept["current"] == url:
        kept["current"] = ""
    _write(kept)
    return found


def _is_right(found: object) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("current"), str):
        return False
    tokens = found.get("tokens")
    return isinstance(tokens, dict) and all(isinstance(each, str) for each in tokens.values())


def _write(kept: dict[str, Any]) -> None:
    path = file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Its rights are 600 from the beginning, and the old file is there until the new one is whole.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".logins-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                json.dump(kept, opened, indent=1)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}", DENIED) from None
