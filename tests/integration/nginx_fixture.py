"""nginx as a real process with the project's configuration, and a web server behind it that shows what it was sent."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.serving import ROOT, free_port

START = ROOT / "nginx" / "start"
FIRST, SECOND = b"first\n", b"second\n"


class Echo(ThreadingHTTPServer):
    """Keeps what it is asked; a path that ends in `output`, or has `slow`, is answered in two pieces."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _EchoHandler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.go_on = threading.Event()


class _EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Echo

    def do_GET(self) -> None:
        """Answer everything alike."""
        self.server.paths.append(self.path)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._send(FIRST)
        if self.path.endswith("output") or "slow" in self.path:
            self.server.go_on.wait(10)
        self._send(SECOND)
        self._send(b"")

    do_POST = do_GET  # noqa: N815 - the library's name

    def _send(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Nginx:
    """A running nginx; `url` is its address."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], environment: dict[str, str]) -> None:
        self.process, self.environment = process, environment
        self.port = int(environment["LISTEN"].rpartition(":")[2])
        self.url = f"http://localhost:{self.port}"
        self._logs = folder / "access.log", folder / "error.log"

    def logs(self) -> str:
        """What it logged so far."""
        return "".join(log.read_text(errors="surrogateescape") for log in self._logs if log.exists())

    def wait_for_log(self, text: str) -> str:
        """Wait until `text` stands in its log: a line is written after the answer; all that it logged."""
        deadline = time.monotonic() + 10
        while text not in self.logs():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.02)
        return self.logs()

    def reload(self) -> None:
        """Have it take the configuration over anew."""
        subprocess.run([START, "reload"], env=self.environment, check=True, timeout=20)

    def workers(self) -> set[int]:
        """Its worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(child) for child in children}


def nginx_environment(folder: Path, **values: str) -> dict[str, str]:
    """What `nginx/start` reads, for an nginx that keeps to free ports and to `folder`."""
    return {
        **os.environ,
        "RUNTIME": str(folder / "nginx"),
        "ACCESS_LOG": str(folder / "access.log"),
        "LISTEN": f"127.0.0.1:{free_port()}",
        "LISTEN_HEALTH": f"127.0.0.1:{free_port()}",
        "LISTEN_TLS": f"127.0.0.1:{free_port()}",
        "LISTEN_REDIRECT": f"127.0.0.1:{free_port()}",
        "STATIC": str(ROOT / "app" / "static"),
        "VENDOR": str(ROOT / "vendor"),
        # Begun by root, its workers would be nobody, who may not be allowed to see this folder.
        "NGINX_GLOBAL": "user root;" if os.geteuid() == 0 else "",
        **values,
    }


@contextmanager
def running_nginx(folder: Path, **values: str) -> Iterator[Nginx]:
    """nginx, started as a container does."""
    environment = nginx_environment(folder, **values)
    with (folder / "error.log").open("ab") as log:
        process = subprocess.Popen([START], env=environment, stdout=log, stderr=log, start_new_session=True)
    nginx = Nginx(folder, process, environment)
    try:
        host, _, port = environment["LISTEN_HEALTH"].rpartition(":")
        deadline = time.monotonic() + 10
        # The trial of the configuration listens too, for a moment.
        while not (Path(environment["RUNTIME"], "conf").exists() and _listens(host, int(port))):
            assert process.poll() is None, nginx.logs()
            assert time.monotonic() < deadline, nginx.logs()
            time.sleep(0.02)
        yield nginx
    finally:
        process.terminate()
        process.wait(10)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


@pytest.fixture
def echo() -> Iterator[Echo]:
    """The web server that shows what it was sent."""
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """A function that starts nginx with more values."""
    with ExitStack() as stack:
        yield lambda **values: stack.enter_context(running_nginx(tmp_path, **values))


@pytest.fixture
def nginx(echo: Echo, start_nginx: Callable[..., Nginx]) -> Nginx:
    """Nginx in front of `echo`, which is the stand-in too."""
    return start_nginx(UPSTREAM=echo.address, STAND_IN=echo.address)
