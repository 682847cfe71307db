"""A server for an IDE's debugger: one process, no greenlets, with the Redis that `run_redis.sh` starts.

Set breakpoints anywhere, in jobs too, and debug this file. It listens on PORT of this machine alone, and starts the
stand-in for Webex where there is no CLIENT_ID.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from app.children import Child, ChildFailed
from app.config import Settings, load_server_settings, load_settings
from app.errors import ConfigError
from app.factory import create_app
from app.keys import PASSWORD

REDIS = "redis://127.0.0.1:6379/0"
READY = b"Webex stand-in ready at "


def main() -> int:
    """Serve until the debugger stops it; returns the exit code."""
    try:
        settings = load_settings()
        changes: dict[str, Any] = {"async_stack": "threading", "host": "127.0.0.1"}
        if not settings.redis_url:
            changes |= {"redis_url": REDIS, "redis_password": _password(settings)}
        with _stand_in(settings) as url:
            _serve(load_server_settings(stand_in_url=url, **changes))
    except (ConfigError, ChildFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _password(settings: Settings) -> str:
    try:
        return (settings.key_dir / PASSWORD).read_text(encoding="utf-8").strip()
    except OSError:
        raise ConfigError("REDIS_URL: missing, and there is no password of a local Redis: run run_redis.sh") from None


@contextlib.contextmanager
def _stand_in(settings: Settings) -> Iterator[str]:
    """The address of the stand-in; "" where none is needed."""
    if settings.client_id or settings.stand_in_url:
        yield settings.stand_in_url
        return
    child = Child("Webex stand-in", [sys.executable, "-m", "simulator", "--port", "0"], stdout=subprocess.PIPE)
    try:
        yield child.output.readline().removeprefix(READY).decode().strip()
    finally:
        child.stop(1.0)


def _serve(settings: Settings) -> None:
    app = create_app(settings)
    # Its lines about requests would show the login's codes.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    sys.stdout.write(f"Open {settings.redirect_uri.removesuffix('redirect')}\n")
    with contextlib.suppress(KeyboardInterrupt):
        # The debugger of the IDE is the one to be used; the reloader would be another process.
        app.extensions["socketio"].run(
            app, settings.host, settings.port, debug=False, use_reloader=False, allow_unsafe_werkzeug=True
        )
    app.extensions["shutdown"](2.0)


if __name__ == "__main__":
    sys.exit(main())
