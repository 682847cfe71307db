"""The command line as a client, as a process of its own: in pipes, and in a terminal."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.serving import ROOT
from tests.waiting import wait_until

COMMAND = [sys.executable, "-P", "-m", "app"]


class Client:
    """Somebody's command line: `folder` is their home; with `url` and `token` they are in its environment."""

    def __init__(self, folder: Path, url: str = "", token: str = "", **more: str) -> None:
        self.folder = folder
        names = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_REALTIME_", "XDG_"))}
        login = {"FLASK_REALTIME_URL": url, "FLASK_REALTIME_TOKEN": token}
        given = {name: value for name, value in login.items() if value}
        self.environment = {**names, "HOME": str(folder), "PYTHONPATH": str(ROOT), "TERM": "xterm", **given, **more}

    @property
    def logins(self) -> Path:
        """The file of logins."""
        return self.folder / ".config" / "flask-realtime" / "logins.json"

    def __call__(
        self, *arguments: str | bytes, stdin: bytes = b"", seconds: float = 90
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, in pipes."""
        return subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment,
            cwd=self.folder,
            timeout=seconds,
            check=False,
        )

    def good(self, *arguments: str, **options: Any) -> str:
        """What a command prints that ends well."""
        done = self(*arguments, **options)
        assert done.returncode == 0, (done.returncode, done.stdout[-500:], done.stderr[-2000:])
        return done.stdout.decode()

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        """The objects that it prints."""
        return [json.loads(line) for line in self.good(*arguments, "--json").splitlines()]

    def wrong(self, code: int, words: str, *arguments: str | bytes, **options: Any) -> str:
        """What it says on stderr that ends with this code, which has these words and is for people."""
        done = self(*arguments, **options)
        said = done.stderr.decode()
        assert (done.returncode, words in said) == (code, True), (done.returncode, said[-2000:])
        assert "Traceback" not in said
        assert "\x1b" not in said
        return said

    @contextlib.contextmanager
    def begun(self, *arguments: str, stdin: int | None = subprocess.DEVNULL, **options: Any) -> Iterator[Begun]:
        """A command that goes on, in pipes or files."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        made = {"stdin": stdin, "env": self.environment, "cwd": self.folder, "bufsize": 0, **pipes}
        process = subprocess.Popen([*COMMAND, *arguments], **made)
        with process:
            try:
                yield Begun(process)
            finally:
                process.kill()

    def terminal(self, *arguments: str, **options: Any) -> Terminal:
        """A command in a terminal."""
        return Terminal([*COMMAND, *arguments], self.environment, self.folder, **options)


class Begun:
    """A process whose stderr is kept as it comes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said = b""
        if process.stderr is not None:
            os.set_blocking(process.stderr.fileno(), False)

    def wait_said(self, words: str, seconds: float = 30) -> None:
        """Wait until stderr has these words."""
        wait_until(lambda: words.encode() in self._more(), f"never said: {words}", seconds=seconds)

    def _more(self) -> bytes:
        assert self.process.stderr is not None
        self.said += self.process.stderr.read() or b""
        return self.said

    def end(self, seconds: float = 60) -> tuple[int, bytes, bytes]:
        """Its exit code and what it wrote."""
        if self.process.stderr is not None:
            os.set_blocking(self.process.stderr.fileno(), True)
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, self.said + (err or b"")


class Terminal:
    """A process in a terminal of its own, whose keyboard and screen the test has; `options` are Popen's."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path, **options: Any) -> None:
        self.screen, inside = pty.openpty()
        termios.tcsetwinsize(inside, (40, 100))
        # Else Ctrl-C throws away what the process has written and nobody has read.
        attributes = termios.tcgetattr(inside)
        attributes[3] |= termios.NOFLSH
        termios.tcsetattr(inside, termios.TCSANOW, attributes)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            # Its own session with this terminal: Ctrl-C is a signal.
            start_new_session=True,
            preexec_fn=lambda: _control(inside),  # noqa: PLW1509 - the child does nothing else before it is the command
            **{"stdin": inside, "stdout": inside, "stderr": inside, **options},
        )
        os.close(inside)
        os.set_blocking(self.screen, False)
        self.text = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait(10)
        os.close(self.screen)

    def _more(self) -> str:
        # EIO: nobody holds the other end any more.
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self.screen, 65_536):
                self.text += self._decoder.decode(data)
        return self.text

    def wait_text(self, words: str, seconds: float = 30) -> None:
        """Wait until the screen shows these words, behind those that were waited for before."""
        wait_until(lambda: self._more().find(words, self._seen) >= 0, f"never shown: {words}", seconds=seconds)
        self._seen = self.text.index(words, self._seen) + len(words)

    def type(self, text: str) -> None:
        """Type; the terminal makes a signal of Ctrl-C."""
        os.write(self.screen, text.encode())

    def end(self, seconds: float = 60) -> int:
        """Its exit code."""
        wait_until(lambda: self._more() is None or self.process.poll() is not None, "it does not end", seconds=seconds)
        self._more()
        return self.process.returncode


def _control(terminal: int) -> None:
    import fcntl

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
