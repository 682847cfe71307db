"""Serves the page of this folder, whose program is written in Python: `python -m examples.elsewhere`; docs/rpc.md.

The page comes from an origin of its own, as somebody else's would, and calls the product by JSON-RPC.
"""

from __future__ import annotations

import argparse
import json
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
VENDOR = HERE.parents[1] / "vendor"
FILES = {"/": "index.html", "/page.py": "page.py", "/style.css": "style.css"}
HEADERS = {
    # Python becomes JavaScript in the browser, which is what 'unsafe-eval' allows; the page may call any server.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; connect-src *; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Handler(SimpleHTTPRequestHandler):
    """Answers the files of the page, and nothing else."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".py": "text/python"}  # noqa: RUF012 - as the base's

    def translate_path(self, path: str) -> str:
        """As the base's."""
        asked = path.partition("?")[0]
        if asked == "/brython.js":
            manifest = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
            return str(VENDOR / manifest["scripts"]["brython"])
        return str(HERE / FILES.get(asked, "missing"))

    def end_headers(self) -> None:
        """As the base's."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m examples.elsewhere", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="TCP port on this machine (8000)")
    server = ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler)
    origin = f"http://localhost:{server.server_address[1]}"
    print(f"Open {origin} and start the product with CORS_ORIGINS={origin}; Ctrl-C ends this.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
