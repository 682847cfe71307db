"""A provider that behaves badly: it answers what a test says, as slowly as the test says."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hostile:
    """What it answers to every request: `body` after `delay` seconds, a byte each `drip` seconds where that is set."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def hostile_provider() -> Iterator[Hostile]:
    """Such a provider on a free port; `asked` has the paths of the requests."""
    plan = Hostile()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            plan.asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(plan.delay)
            self.send_response(plan.status)
            self.send_header("Content-Length", str(len(plan.body)))
            for name, value in plan.headers.items():
                self.send_header(name, value)
            self.end_headers()
            step = 1 if plan.drip else len(plan.body) or 1
            for start in range(0, len(plan.body), step):
                self.wfile.write(plan.body[start : start + step])
                self.wfile.flush()
                time.sleep(plan.drip)

        do_GET = do_POST = _answer  # noqa: N815 - the names that the base class looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Quiet."""

        def handle(self) -> None:
            # Clients that give up are what is tested here.
            with contextlib.suppress(OSError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    plan.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield plan
    finally:
        server.shutdown()
        server.server_close()
