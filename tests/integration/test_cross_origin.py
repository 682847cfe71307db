"""Pages of other origins: an exact list may call the programs' doors, never by cookie, and nobody else may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from app.model import new_id
from tests.api import make_token, revoke_tokens
from tests.integration.simulator_fixture import Simulator
from tests.rpc import Rpc
from tests.server_fixture import settings_for
from tests.serving import Server, running_server

OURS, SECOND = "https://ours.com", "http://[::1]:8000"
STRANGERS = [
    "https://evil-ours.com",
    "https://ours.com.evil",
    "https://ours.com.evil.example",
    "https://sub.ours.com",
    "https://ours.com:8443",
    "http://ours.com",
    "https://oursxcom",
    "https://ours.com/",
    "https://ours.com https://evil.example",
    "https://evil.example#https://ours.com",
    "HTTPS://OURS.COM",
    "http://1:8000",
    "null",
    "*",
    "",
]
ALLOW = "Access-Control-Allow-Origin"


@pytest.fixture(scope="module")
def shared(
    _valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that two other origins may call."""
    folder = tmp_path_factory.mktemp("cross_origin")
    settings = settings_for(_valkey_socket, _shared_simulator, folder)
    with running_server(folder / "log", **{**settings, "CORS_ORIGINS": f"{OURS}, {SECOND}"}) as server:
        yield server


@pytest.fixture(scope="module")
def token(shared: Server) -> Iterator[str]:
    """Somebody's token there, with all scopes."""
    person, name = shared.log_in(), new_id()
    yield make_token(shared.url, person, name=name)
    revoke_tokens(shared.url, person, name)


def ask_first(
    url: str, origin: str, method: str = "POST", headers: str = "content-type,authorization"
) -> requests.Response:
    """What a browser asks before a call."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return requests.options(url, headers=asked, timeout=20)


def words(text: str) -> set[str]:
    """A header's list."""
    return {word.strip().lower() for word in text.split(",")}


@pytest.mark.parametrize("origin", [OURS, SECOND])
def test_a_page_on_the_list_may_call(shared: Server, origin: str, token: str) -> None:
    """It is told beforehand, without a login, what it may send; then it calls with a token and reads the answer."""
    first = ask_first(f"{shared.url}/rpc", origin)
    assert first.ok
    assert first.headers[ALLOW] == origin
    assert words(first.headers["Access-Control-Allow-Methods"]) == {"post", "options"}
    assert words(first.headers["Access-Control-Allow-Headers"]) == {"content-type", "authorization"}
    assert first.headers["Access-Control-Max-Age"] == "86400"
    assert "origin" in words(first.headers["Vary"])
    rpc = Rpc(shared.url, token)
    answer = rpc.send('{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x"]}', headers={"Origin": origin})
    assert answer.json()["result"] == "x"
    assert answer.headers[ALLOW] == origin
    assert "origin" in words(answer.headers["Vary"])
    assert "Access-Control-Allow-Credentials" not in {**first.headers, **answer.headers}


def test_a_page_on_the_list_may_use_the_http_api(shared: Server, token: str) -> None:
    """Also its streams, with the headers that the API takes."""
    url = f"{shared.url}/api/v1.0/runs"
    first = ask_first(url, OURS, "POST", "authorization,idempotency-key,last-event-id,x-own")
    paths = requests.get(f"{shared.url}/api/v1.0/openapi.json", timeout=20).json()["paths"].values()
    used = {"get", "put", "post", "patch", "delete"} & {method for path in paths for method in path}
    assert words(first.headers["Access-Control-Allow-Methods"]) == {*used, "head", "options"}
    assert words(first.headers["Access-Control-Allow-Headers"]) == {
        "authorization",
        "idempotency-key",
        "last-event-id",
    }
    headers = {"Origin": OURS, "Authorization": f"Bearer {token}"}
    started = requests.post(url, json={"job": "silent"}, headers=headers, timeout=20)
    assert (started.status_code, started.headers[ALLOW]) == (201, OURS)
    assert started.headers["Access-Control-Expose-Headers"] == "Location"
    with requests.get(f"{url}/{started.json()['id']}/output.sse", headers=headers, stream=True, timeout=20) as stream:
        assert stream.headers[ALLOW] == OURS


def test_errors_can_be_read(shared: Server, token: str) -> None:
    """A page on the list reads why it was refused: without a login, with a wrong type, method, address."""
    headers = {"Origin": OURS}
    allowed = {**headers, "Authorization": f"Bearer {token}"}
    for status, method, path, sent in [
        (401, "POST", "/rpc", headers),
        (415, "POST", "/rpc", allowed),
        (405, "GET", "/rpc", allowed),
        (401, "GET", "/api/v1.0/me", headers),
        (405, "PUT", "/api/v1.0/me", allowed),
        (404, "GET", "/api/v1.0/nothing", allowed),
    ]:
        answer = requests.request(method, shared.url + path, headers=sent, timeout=20)
        assert (answer.status_code, answer.headers[ALLOW]) == (status, OURS), path
        assert "origin" in words(answer.headers["Vary"])


@pytest.mark.parametrize("origin", STRANGERS)
def test_nobody_else_may_read(shared: Server, origin: str, token: str) -> None:
    """What is nearly an origin of the list is none; caches are told that origins differ."""
    rpc = Rpc(shared.url, token)
    call = '{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x"]}'
    for answer in (
        ask_first(f"{shared.url}/rpc", origin),
        rpc.send(call, headers={"Origin": origin}),
        ask_first(f"{shared.url}/api/v1.0/me", origin, "GET"),
        requests.get(f"{shared.url}/api/v1.0/me", headers={**rpc.headers, "Origin": origin}, timeout=20),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert "origin" in words(answer.headers["Vary"])


def test_a_cookie_opens_nothing_from_there(shared: Server) -> None:
    """The list is for tokens: a login's cookie from a page on it is refused, and no answer allows cookies."""
    rpc = Rpc(shared.url, person=shared.log_in())
    answer = rpc.send('{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x"]}', headers={"Origin": OURS})
    assert answer.status_code == 403
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/tokens", "/runs/x/output", "/static/base.css", "/healthz", "/rpcx", "/api"])
def test_pages_are_nobody_elses(shared: Server, path: str) -> None:
    """Pages, files and downloads are read by no other origin."""
    for answer in (
        requests.get(shared.url + path, headers={"Origin": OURS}, timeout=20, allow_redirects=False),
        ask_first(shared.url + path, OURS, "GET"),
    ):
        assert ALLOW not in answer.headers


def test_nobody_may_by_default(server: Server) -> None:
    """Without CORS_ORIGINS there is no such header, for no origin."""
    for origin in (OURS, "null", server.url):
        assert ALLOW not in ask_first(f"{server.url}/rpc", origin).headers
