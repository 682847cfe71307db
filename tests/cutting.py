"""A proxy before the HTTP API whose answers nobody can tell to be whole but by what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import requests

from tests.api import Api


class _Cuts:
    """What is still to be done to requests; outputs are cut after `most` bytes."""

    def __init__(self, api: Api, most: int, *, cuts: int, refusals: int, retry_after: str, unknown: int) -> None:
        self.api, self.most = api, most
        self.cuts, self.refusals, self.retry_after, self.unknown = cuts, refusals, retry_after, unknown

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a GET."""
        output = "/output" in handler.path
        if self.refusals:
            self.refusals -= 1
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            _say(handler, 502 + self.refusals % 2, b"", **headers)
        elif output and self.unknown and not self.cuts:
            self.unknown -= 1
            problem = {"code": "bad_request", "detail": "after: a position from 0 to 3"}
            _say(handler, 400, json.dumps(problem).encode(), **{"Content-Type": "application/problem+json"})
        else:
            cut = output and self.cuts > 0
            self.cuts -= cut
            self._pass_on(handler, self.most if cut else 10**9)

    def _pass_on(self, handler: BaseHTTPRequestHandler, left: int) -> None:
        answer = requests.get(self.api.home + handler.path, headers=self.api.headers, stream=True, timeout=60)
        handler.send_response(answer.status_code)
        handler.send_header("Content-Type", answer.headers["Content-Type"])
        handler.end_headers()
        # Until the connection ends.
        for piece in answer.iter_content(8192):
            handler.wfile.write(piece[:left])
            left -= len(piece)
            if left <= 0:
                break
        answer.close()


def _say(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def cutting(
    api: Api, most: int, *, cuts: int = 10**9, refusals: int = 0, retry_after: str = "", unknown: int = 0
) -> Iterator[str]:
    """Its address: it cuts the first `cuts` outputs off after so many bytes.

    Before that it refuses some requests; after that the place of the next `unknown` outputs is called unknown.
    """
    cuts_ = _Cuts(api, most, cuts=cuts, refusals=refusals, retry_after=retry_after, unknown=unknown)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cuts_.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()
