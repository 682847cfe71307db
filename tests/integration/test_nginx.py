"""nginx by itself: what it passes on, what it keeps back, and what it answers on its own."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.integration.nginx_fixture import FIRST, SECOND, START, Echo, Nginx, nginx_environment
from tests.serving import ROOT, free_port
from tests.waiting import wait_until

PROXIED = [
    "/",
    "/jobs/count",
    "/socket.io/?EIO=4",
    "/runs/abc/output",
    "/api/v1.0/runs?limit=1",
    "/rpc",
    "/redirect?code=c",
    "/healthz",
    "/readyz",
    "/webex/v1/x",
]
FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Protocol": "https",
    "X-Url-Scheme": "https",
    "X-Real-IP": "203.0.113.7",
    "X_Forwarded_Host": "evil.example",
    "Forwarded": "for=203.0.113.7;host=evil.example",
    "Proxy": "http://evil.example",
}


def _refusal(folder: Path, **values: str) -> str:
    done = subprocess.run(
        [START], env=nginx_environment(folder, **values), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode != 0
    return done.stderr


def _websocket(nginx: Nginx, **headers: str) -> requests.Response:
    return requests.get(f"{nginx.url}/socket.io/?EIO=4", headers=headers, timeout=10)


@pytest.mark.parametrize("path", PROXIED)
def test_headers_about_the_visitor_are_nginx_s_own(nginx: Nginx, echo: Echo, path: str) -> None:
    """On each way the web server gets the Host that was asked for, and no claim of the visitor about itself."""
    echo.go_on.set()
    assert requests.get(nginx.url + path, headers=FORGED, timeout=10).ok
    sent = echo.headers[0]
    assert (sent["host"], sent["x-forwarded-host"]) == (f"localhost:{nginx.port}", f"localhost:{nginx.port}")
    assert (sent["x-forwarded-for"], sent["x-real-ip"], sent["x-forwarded-proto"]) == ("127.0.0.1", "127.0.0.1", "http")
    known = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
    assert not {name for name in sent if "forwarded" in name or name in ("proxy", "x-url-scheme")} - known


@pytest.mark.parametrize("path", PROXIED[:-1])
def test_addresses_pass_as_they_are(nginx: Nginx, echo: Echo, path: str) -> None:
    """Escapes and queries reach the web server unchanged."""
    echo.go_on.set()
    odd = f"{path}{'&' if '?' in path else '?'}next=%2Fjobs%2Fa%20b&x=1"
    assert requests.get(nginx.url + odd, timeout=10).ok
    assert echo.paths == [odd]


def test_the_stand_in_sees_its_own_addresses_and_no_cookie(nginx: Nginx, echo: Echo) -> None:
    """It stands under /webex/ of the same host, and is another server."""
    page = requests.get(f"{nginx.url}/webex/v1/authorize?a=%20b", cookies={"frt_session": "s3cret"}, timeout=10)
    assert page.ok
    assert echo.paths == ["/v1/authorize?a=%20b"]
    assert "cookie" not in echo.headers[0]


def test_without_a_stand_in_there_is_no_address_for_it(echo: Echo, start_nginx: Callable[..., Nginx]) -> None:
    """As in production: the web server is asked, which knows no such page."""
    nginx = start_nginx(UPSTREAM=echo.address)
    requests.get(f"{nginx.url}/webex/v1/authorize", timeout=10)
    assert echo.paths == ["/webex/v1/authorize"]


@pytest.mark.parametrize("path", ["/runs/abc/output", "/socket.io/?slow=1"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_output_flows_at_once(nginx: Nginx, echo: Echo, path: str, encoding: str) -> None:
    """A piece reaches the visitor while the web server still waits with the next one."""
    connection = http.client.HTTPConnection("localhost", nginx.port, timeout=8)
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    assert answer.read1() == FIRST
    assert not echo.go_on.is_set()
    echo.go_on.set()
    assert answer.read() == SECOND
    connection.close()


def test_time_limits_are_long_where_output_flows_and_short_elsewhere(nginx: Nginx) -> None:
    """Read from the configuration in force, since waiting for an hour is no test."""
    conf = Path(nginx.environment["RUNTIME"]) / "conf"
    locations = (conf / "site.conf").read_text().split("\nlocation ")[1:]
    for location in locations:
        if "proxy_pass" not in location:
            continue
        flows = location.startswith(("/socket.io/", "/examples/", "~ ^/runs/", "/api/"))
        assert ("include stream.conf" in location) == flows
        assert flows or "proxy_read_timeout 30s" in location or "proxy_read_timeout 10s" in location
    assert "proxy_read_timeout 1h" in (conf / "stream.conf").read_text()


@pytest.mark.parametrize(("asked", "passed"), [("websocket", "websocket"), ("WebSocket", "websocket"), ("h2c", None)])
def test_nothing_but_a_websocket_is_upgraded(nginx: Nginx, echo: Echo, asked: str, passed: str | None) -> None:
    """Another protocol would go past all that nginx does with requests."""
    _websocket(nginx, Connection="Upgrade", Upgrade=asked)
    assert echo.headers[0].get("upgrade") == passed
    assert echo.headers[0]["connection"] == ("upgrade" if passed else "close")


def test_pages_have_no_upgrade(nginx: Nginx, echo: Echo) -> None:
    """Websockets are opened at /socket.io/ alone."""
    requests.get(f"{nginx.url}/jobs/x", headers={"Connection": "Upgrade", "Upgrade": "websocket"}, timeout=10)
    assert "upgrade" not in echo.headers[0]


def test_a_body_over_the_limit_is_refused(nginx: Nginx, echo: Echo) -> None:
    """1 MiB passes, a byte more gets 413 with the usual headers, and the web server hears nothing of it."""
    assert requests.post(nginx.url, data=b"x" * 1_048_576, timeout=20).ok
    answer = requests.post(nginx.url, data=b"x" * 1_048_577, timeout=20)
    assert answer.status_code == 413
    assert "<h1>This request is not accepted</h1>" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert len(echo.paths) == 1


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET /%zz HTTP/1.1\r\n\r\n"])
def test_garbage_is_answered_and_says_no_version(nginx: Nginx, garbage: bytes) -> None:
    """Neither its answers nor its own error pages tell nginx's version."""
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"nginx/" not in said
    assert b" 400 " in said or b" 505 " in said or b"400" in said[:200]


@pytest.mark.parametrize("path", ["/static/no-such-file.js", "/static/", "/vendor/", "/vendor/../../etc/passwd"])
def test_missing_files_are_missing(nginx: Nginx, path: str) -> None:
    """Folders are not listed, and there is no way out of them."""
    connection = http.client.HTTPConnection("localhost", nginx.port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status in (400, 404)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] == "nginx"
    connection.close()


def test_text_is_compressed_and_nothing_else(nginx: Nginx, tmp_path: Path, start_nginx: Callable[..., Nginx]) -> None:
    """A style sheet gets gzip, a picture does not."""
    (tmp_path / "files").mkdir()
    for name in ("page.css", "page.js", "page.mjs", "icon.svg", "picture.png", "font.woff2"):
        (tmp_path / "files" / name).write_bytes(b"all the same " * 500)
    files = start_nginx(STATIC=str(tmp_path / "files"), RUNTIME=str(tmp_path / "other"))
    packed = {}
    for file in (tmp_path / "files").iterdir():
        answer = requests.get(f"{files.url}/static/{file.name}", timeout=10)
        assert answer.content == file.read_bytes()
        packed[file.suffix] = answer.headers.get("Content-Encoding") == "gzip"
    assert packed == {".css": True, ".js": True, ".mjs": True, ".svg": True, ".png": False, ".woff2": False}
    assert requests.get(f"{nginx.url}/", timeout=10).headers["Server"] == "nginx"


def test_a_web_server_that_is_away(start_nginx: Callable[..., Nginx]) -> None:
    """A page says so and when to come back; the login's code stands in no log."""
    nginx = start_nginx(UPSTREAM=f"127.0.0.1:{free_port()}")
    answer = requests.get(f"{nginx.url}/redirect?code=c0de-c0de&state=s", timeout=10)
    assert answer.status_code == 502
    assert "<h1>The server does not answer</h1>" in answer.text
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "c0de" not in nginx.wait_for_log('"path":"/redirect"')


def test_programs_are_told_of_it_by_a_problem_document(start_nginx: Callable[..., Nginx]) -> None:
    """Under /api nginx's own errors are what the web server's are."""
    answer = requests.get(start_nginx(UPSTREAM=f"127.0.0.1:{free_port()}").url + "/api/v1.0/jobs", timeout=15)
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (503, 503, "server_unavailable")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "5"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_callers_are_told_of_it_as_json_rpc_has_errors(start_nginx: Callable[..., Nginx]) -> None:
    """At /rpc nginx's own errors are error objects."""
    answer = requests.post(start_nginx(UPSTREAM=f"127.0.0.1:{free_port()}").url + "/rpc", timeout=15)
    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (503, "server_unavailable")
    assert (answer.json()["jsonrpc"], answer.json()["id"]) == ("2.0", None)
    assert (answer.headers["Content-Type"], answer.headers["Retry-After"]) == ("application/json", "5")


def test_it_starts_before_the_web_server_has_a_name(start_nginx: Callable[..., Nginx]) -> None:
    """A container's name is looked up when somebody asks, not at the start."""
    nginx = start_nginx(UPSTREAM="no-such-host.invalid:5000", RESOLVER="127.0.0.1")
    assert requests.get(f"{nginx.url}/healthz", timeout=15).status_code == 502
    assert requests.get(f"{nginx.url}/static/icon.svg", timeout=10).ok


def test_lines_of_the_log_cannot_be_forged(nginx: Nginx) -> None:
    """What a visitor sends stays within the text that it is."""
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as connection:
        connection.sendall(b'GET /a%0A","status":500,%1b\xff HTTP/1.0\r\nHost: x\r\n\r\n')
        assert b" 200 " in connection.recv(100)
    line = json.loads(nginx.wait_for_log("\n").encode("utf-8", "replace"))
    assert line["path"].startswith('/a%0A","status":500,%1b')
    assert line["status"] == 200


@pytest.mark.parametrize("name", ["UPSTREAM", "LISTEN", "SERVER_NAME", "STATIC", "RESOLVER"])
@pytest.mark.parametrize("value", ["a b", "x;y", "$host", "a\nb", "a|b", "a'b", "a&b", "{", "\\1"])
def test_a_value_that_is_more_than_a_value_is_refused(tmp_path: Path, name: str, value: str) -> None:
    """No value of the environment can become a directive."""
    assert _refusal(tmp_path, **{name: value}).startswith(f"{name}: nginx cannot be given the value")


def test_a_reload_with_a_mistake_changes_nothing(tmp_path: Path, nginx: Nginx) -> None:
    """It is tried first; the running nginx goes on, and would start again."""
    conf = Path(nginx.environment["RUNTIME"]) / "conf" / "server.conf"
    # It listens before it has them.
    wait_until(lambda: len(nginx.workers()) == os.sysconf("SC_NPROCESSORS_ONLN"), "all workers are there")
    before, workers = conf.read_text(), nginx.workers()
    wrong = {**nginx.environment, "LISTEN": "70000"}
    done = subprocess.run([START, "reload"], env=wrong, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert "70000" in done.stderr
    time.sleep(0.2)
    assert (conf.read_text(), nginx.workers()) == (before, workers)
    assert requests.get(nginx.url, timeout=10).ok
    del tmp_path


def test_the_configuration_has_no_inherited_headers_to_lose() -> None:
    """Each location that passes requests on takes in proxy.conf: one header of its own would drop inherited ones."""
    for file in (ROOT / "nginx").glob("*.conf"):
        for location in file.read_text().split("\nlocation ")[1:]:
            assert location.count("proxy_pass") == location.count("include proxy.conf;"), file.name


def test_each_variable_of_the_start_is_documented() -> None:
    """docs/deployment.md has all that `nginx/start` reads, and nothing else."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8").partition("| variable |")[2]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    documented = re.findall(r"`([A-Z_]+)`", "".join(rows))
    read = re.findall(r'"\$\{([A-Z_]+):=', START.read_text())
    assert sorted(documented) == sorted(set(read))


def test_the_start_script_may_be_run() -> None:
    """The image and these tests start nginx by it."""
    assert os.access(START, os.X_OK)
