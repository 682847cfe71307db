"""The console behind nginx: login, pages, files, websockets, reloads, TLS."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from tests.api import Api, make_token
from tests.certificates import write_certificate
from tests.integration.nginx_fixture import Nginx, running_nginx
from tests.integration.simulator_fixture import Simulator
from tests.rpc import Rpc
from tests.server_fixture import settings_for
from tests.serving import ROOT, Page, Server, free_port, log_in, running_server
from tests.socket_client import ConnectionRefused, SocketClient

# Between nginx and the web server, or made for each answer.
OWN = {"Date", "Server", "Connection", "Content-Length", "ETag", "Last-Modified", "Accept-Ranges", "Vary"}


class Console:
    """A web server and the nginx in front of it."""

    def __init__(self, server: Server, nginx: Nginx) -> None:
        self.server, self.nginx, self.url = server, nginx, nginx.url


@pytest.fixture(scope="module")
def console(
    _valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """Both, running; visitors use nginx's address, also for the stand-in."""
    folder = tmp_path_factory.mktemp("console")
    port = free_port()
    url = f"http://localhost:{port}"
    settings: dict[str, Any] = settings_for(_valkey_socket, _shared_simulator, folder)
    settings |= {"REDIRECT_URI": f"{url}/redirect", "PROVIDER_PUBLIC_URL": f"{url}/webex/v1"}
    stand_in = _shared_simulator.url.removeprefix("http://").removesuffix("/v1")
    with running_server(folder / "log", **settings) as server:
        upstream = server.url.removeprefix("http://").replace("localhost", "127.0.0.1")
        with running_nginx(folder, LISTEN=f"127.0.0.1:{port}", UPSTREAM=upstream, STAND_IN=stand_in) as nginx:
            yield Console(server, nginx)


def test_the_whole_flow_at_one_address(console: Console) -> None:
    """Login by the stand-in under /webex/, a run from Start to its end, its download: all through nginx."""
    person = log_in(console.url)
    page = Page(console.url, person)
    run = page.start("lines", count=50, pause=0.01)
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert not page.gaps
    assert person.get(f"{console.url}/runs/{run}/output", timeout=20).text == page.text(run)
    page.close()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost", "http://127.0.0.1:1"])
def test_a_foreign_origin_is_refused_whatever_it_claims(console: Console, origin: str) -> None:
    """Forged headers make no foreign page a page of ours; by polling as by websocket."""
    person = log_in(console.url)
    host = origin.partition("://")[2]
    forged = {"Origin": origin, "X-Forwarded-Host": host, "Forwarded": f"host={host}", "X_Forwarded_Host": host}
    answer = person.get(f"{console.url}/socket.io/?EIO=4&transport=polling", headers=forged, timeout=10)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        SocketClient(console.url, cookies, lambda *_: None, origin=origin)


def test_the_api_streams_through_nginx(console: Console, tmp_path: Path) -> None:
    """What a run prints comes at once, and who leaves nginx leaves the server."""
    api = Api(console.url, make_token(console.url, log_in(console.url)))
    run = api.start("waits_for", file=str(tmp_path / "go"))
    events = api.stream(f"/runs/{run}/output.sse").events()
    assert next(each for each in events if each.get("event") == "output")["data"]["data"] == "before\n"
    raw = api.stream(f"/runs/{run}/output")
    assert raw.answer.raw.read(7) == b"before\n"
    (tmp_path / "go").touch()
    assert raw.answer.raw.read(100) == b"after\n"
    assert [each["event"] for each in events][-1] == "end"
    for size in (1_048_577, 3_000_000):
        api.wrong(
            413, "too_large", "/runs", method="POST", data=b" " * size, headers={"Content-Type": "application/json"}
        )


def test_channels_stream_through_nginx(console: Console) -> None:
    """Each change comes at once, also to a browser that would take it compressed, and the cookie finds its way back."""
    api = Api(console.url, make_token(console.url, log_in(console.url)))
    for value in (1, 2):
        assert api.ask("/channels/nginx", "PUT", json={"value": value}).ok
        if value == 1:
            assert api.ask("/set_stream", "POST", json={"Stream": ["nginx"]}).text == "ok"
            found = api.stream("/stream", headers={"Accept-Encoding": "gzip"}).objects()
        assert next(found) == {"nginx": value}


def test_json_rpc_passes_nginx(console: Console, new_token: Callable[..., str]) -> None:
    """Calls, what browsers ask before them, and bodies that are too long, whoever refuses them."""
    rpc = Rpc(console.url, new_token(console.url, log_in(console.url)))
    assert rpc.call("reverse", "abc") == "cba"
    assert set(requests.options(rpc.url, timeout=10).headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    for size in (1_048_577, 3_000_000):
        answer = rpc.send(b" " * size)
        assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (413, "too_large")


def test_no_websocket_without_a_login(console: Console) -> None:
    """The right origin is not enough."""
    with pytest.raises(ConnectionRefused, match="login_required"):
        SocketClient(console.url, "", lambda *_: None)


def _files() -> list[str]:
    """The addresses of all files of the page, those of ours with a version and without."""
    ours = [f"/static/{file.name}" for file in sorted((ROOT / "app" / "static").iterdir())]
    manifest = json.loads((ROOT / "vendor" / "manifest.json").read_text())
    libraries = [f"/vendor/{path}" for path in [*manifest["imports"].values(), *manifest["styles"].values()]]
    return [*ours, *(f"{address}?v=0123456789ab" for address in ours), *libraries]


@pytest.mark.parametrize("address", _files())
def test_files_come_as_the_web_server_would_send_them(console: Console, address: str) -> None:
    """Content, type, expiry and every protective header are the same, but for scripts' policy: files load none."""
    by_nginx = requests.get(console.url + address, headers={"Accept-Encoding": "identity"}, timeout=10)
    by_flask = requests.get(console.server.url + address, headers={"Accept-Encoding": "identity"}, timeout=10)
    assert (by_nginx.status_code, by_nginx.content) == (200, by_flask.content)
    headers, expected = ({**answer.headers} for answer in (by_nginx, by_flask))
    assert "default-src 'none'" in headers.pop("Content-Security-Policy")
    expected.pop("Content-Security-Policy")
    for name in OWN | {"Content-Disposition"}:
        headers.pop(name, None)
        expected.pop(name, None)
    assert headers == expected
    assert ("immutable" in headers["Cache-Control"]) == ("?v=" in address or address.startswith("/vendor/"))


def test_a_page_names_files_by_addresses_for_ever(console: Console) -> None:
    """Each file that a page loads has its version in its address, and nginx lets browsers keep it for a year."""
    text = log_in(console.url).get(f"{console.url}/jobs/count", timeout=10).text
    addresses = set(re.findall(r'"(/(?:static|vendor)/[^"]+)"', text))
    loaded = {address for address in addresses if "?v=" in address or address.startswith("/vendor/")}
    assert len(loaded) > 10
    # The import map's keys are plain; whatever imports them gets the other address.
    assert {address.partition("?")[0] for address in loaded} >= addresses - loaded
    for address in loaded:
        answer = requests.get(console.url + address.replace("&amp;", "&"), timeout=10)
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    etag = answer.headers["ETag"]
    assert requests.get(console.url + address, headers={"If-None-Match": etag}, timeout=10).status_code == 304


def test_reloads_in_mid_run_lose_nothing(console: Console) -> None:
    """Twenty reloads while a job prints: pages connect anew, no line is missing or twice, and old workers go."""
    person = log_in(console.url)
    page = Page(console.url, person)
    run = page.start("lines", count=600, pause=0.02)
    first = console.nginx.workers()
    for _ in range(20):
        console.nginx.reload()
        time.sleep(0.1)
    deadline = time.monotonic() + 40
    while not page.statuses.get(run, {}).get("ended"):
        assert time.monotonic() < deadline
        if not page.client.connected:
            # What the page's own script does.
            again = Page(console.url, person)
            again.texts, again.statuses = page.texts, page.statuses
            again.watch(run, page.positions[run])
            page = again
        time.sleep(0.05)
    assert not page.gaps
    assert page.text(run) == person.get(f"{console.url}/runs/{run}/output", timeout=20).text
    while console.nginx.workers() & first:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    page.close()


def test_tls(tmp_path: Path, start_server: Callable[..., Server], start_nginx: Callable[..., Nginx]) -> None:
    """Pages come by TLS alone, with HSTS and Secure cookies; another name gets no certificate; HTTP leads to HTTPS."""
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    write_certificate(certificate, key)
    port, plain = free_port(), free_port()
    url = f"https://localhost:{port}"
    server = start_server(REDIRECT_URI=f"{url}/redirect")
    start_nginx(
        UPSTREAM=server.url.removeprefix("http://").replace("localhost", "127.0.0.1"),
        SERVER_NAME="localhost",
        TLS_CERTIFICATE=str(certificate),
        TLS_KEY=str(key),
        LISTEN_TLS=f"127.0.0.1:{port}",
        LISTEN_REDIRECT=f"127.0.0.1:{plain}",
        PUBLIC_PORT=str(port),
    )
    person = requests.Session()
    person.trust_env = False  # a bundle named there would win
    person.verify = str(certificate)
    for path in ("/", "/static/icon.svg", "/static/missing.js", "/healthz"):
        answer = person.get(url + path, timeout=10, allow_redirects=False)
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000", path
    assert all(cookie.secure for cookie in person.cookies)
    assert len(person.cookies) > 0
    moved = requests.get(f"http://localhost:{plain}/jobs/x?a=1", timeout=10, allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (308, f"{url}/jobs/x?a=1")
    assert "Strict-Transport-Security" not in moved.headers
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(raw, server_hostname="evil.example")
