"""Who comes and goes at channels' streams: rights, limits, slow readers, logouts, outages, stops; the docs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from app.api_models import StreamQuery
from tests.api import Api, Stream, make_token
from tests.killable import Valkey
from tests.serving import Server, running_server
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "channels.md").read_text()


def _api(server: Server, *scopes: str) -> Api:
    return Api(server.url, make_token(server.url, server.log_in(), *scopes))


def _set(api: Api, **values: Any) -> None:
    api.get("/channels", method="PATCH", json={"values": values})


def test_without_a_login_nothing_is_told(server: Server) -> None:
    """Each door asks for a token or a login, also where a cookie of a subscription is there."""
    api = _api(server)
    _set(api, X=1)
    assert api.ask("/set_stream", "POST", json={"Stream": ["X"]}).ok
    cookie = {"Cookie": f"SUBID={api.http.cookies['SUBID']}"}
    for method, path in (
        *(("GET", "/channels"), ("GET", "/channels/X"), ("PUT", "/channels/X"), ("PATCH", "/channels")),
        *(("DELETE", "/channels/X"), ("POST", "/set_stream"), ("GET", "/stream"), ("GET", "/stream?channel=X")),
    ):
        Api(server.url).wrong(401, "login_required", path, method=method, headers=cookie)


def test_another_sites_page_sets_nothing(server: Server, person: requests.Session) -> None:
    """With a login's cookie alone what changes something is refused to foreign pages."""
    by_cookie = Api(server.url, person=person)
    evil = {"Origin": "https://evil.example"}
    for method, path, body in (
        ("PUT", "/channels/X", {"value": 1}),
        ("PATCH", "/channels", {"values": {"X": 1}}),
        ("DELETE", "/channels/X", None),
        ("POST", "/set_stream", {"Stream": ["X"]}),
    ):
        by_cookie.wrong(403, "forbidden", path, method=method, json=body, headers=evil)
    assert by_cookie.ask("/channels/X", "PUT", json={"value": 1}).ok


@pytest.mark.usefixtures("valkey_url")
def test_who_leaves_frees_all_at_once(start_server: Callable[..., Server]) -> None:
    """A user's third stream is refused while there are two, silent as they are; who leaves makes room at once."""
    server = start_server(USER_SOCKETS="2")
    api = _api(server)
    _set(api, X=0)
    files = len(list(Path(f"/proc/{server.worker}/fd").iterdir()))
    for _ in range(5):
        # Those that have just left may count for a moment.
        both = [_let_in(api) for _ in range(2)]
        api.wrong(429, "too_many", "/stream?channel=X")
        # What is refused for another reason takes no place.
        assert api.ask("/stream?channel=nope").status_code == 429
        for each in both:
            each.close()
        wait_until(lambda: _gets_in(api), "nothing is free after both have left", seconds=10)
    wait_until(lambda: api.ask("/stream?channel=nope").status_code == 404)
    for _ in range(5):
        assert api.ask("/stream?channel=nope").status_code == 404
        assert api.ask("/stream?channel=X", "HEAD").status_code == 200
    wait_until(lambda: _gets_in(api))
    wait_until(lambda: len(list(Path(f"/proc/{server.worker}/fd").iterdir())) <= files + 4, "descriptors stay open")


def _let_in(api: Api) -> Stream:
    found: list[Stream] = []

    def tries() -> bool:
        answer = requests.get(f"{api.url}/stream?channel=X", headers=api.headers, stream=True, timeout=20)
        if answer.ok:
            found.append(Stream(answer))
        else:
            answer.close()
        return answer.ok

    wait_until(tries, "nothing is free", seconds=10)
    return found[0]


def _gets_in(api: Api) -> bool:
    with requests.get(f"{api.url}/stream?channel=X", headers=api.headers, stream=True, timeout=20) as answer:
        return answer.ok


@pytest.mark.timeout(240)
def test_a_slow_reader_is_told(server: Server) -> None:
    """One that takes nothing while thousands of changes come gets the first, how many it missed, and the last."""
    api = _api(server)
    _set(api, slow="begin")
    place = urlsplit(server.url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    raw.settimeout(60)
    raw.connect(("localhost", place.port or 80))
    head = f"Host: {place.netloc}\r\nAuthorization: Bearer {api.token}\r\nConnection: close\r\n\r\n"
    raw.sendall(f"GET /api/v1.0/stream.ndjson?channel=slow HTTP/1.1\r\n{head}".encode())
    said = b""
    while b"snapshot" not in said:
        said += raw.recv(4096)
    text, changes = "x" * 4000, 2800
    # Each a change of its own: sockets take some, a list the next, and then it is full.
    for number in range(changes):
        _set(api, slow=f"{number} {text}")
    _set(api, slow="end")
    while b'"end"}' not in said[-9000:] or not said.endswith(b"}\n\r\n"):
        piece = raw.recv(65_536)
        assert piece
        said += piece
    raw.close()
    records = _records(said)
    missed = [each["changes"] for each in records if each["type"] == "missed"]
    seen = [int(each["value"].split()[0]) for each in records if each["type"] == "change"]
    assert seen == sorted(set(seen))
    assert missed
    assert all(missed)
    again = [each["values"]["slow"] for each in records if each["type"] == "snapshot"]
    assert len(again) == 1 + len(missed)
    # Nothing was read while they were set: each has come, or is in the number.
    assert len(seen) + sum(missed) == changes + 1
    assert len(seen) < changes


def _records(said: bytes) -> list[dict[str, Any]]:
    """The lines of a chunked answer."""
    body, found = said.partition(b"\r\n\r\n")[2], b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        found, body = found + rest[:length], rest[length + 2 :]
        if len(rest) < length:
            break
    return [json.loads(line) for line in found.split(b"\n") if line.endswith(b"}")]


def test_an_ended_login_ends_its_streams(server: Server, person: requests.Session) -> None:
    """A stream that came by the cookie ends with the logout, one by a token with its Revoke; others go on."""
    api = _api(server)
    _set(api, X=0)
    by_cookie = Api(server.url, person=person).stream("/stream?channel=X&heartbeat=1").objects()
    by_token = Api(server.url, api.token).stream("/stream?channel=X&heartbeat=1").objects()
    assert next(by_cookie) == next(by_token) == {"X": 0}
    assert person.post(f"{server.url}/logout", headers={"Sec-Fetch-Site": "same-origin"}, timeout=20).ok
    assert all(each == {"Updates": False} for each in by_cookie)
    _set(api, X=1)
    assert next(each for each in by_token if "X" in each) == {"X": 1}
    again = server.log_in()
    token = re.findall(r'data-token="([^"]+)"', again.get(f"{server.url}/tokens", timeout=20).text)[0]
    assert again.post(f"{server.url}/tokens/{token}/revoke", timeout=20).ok
    assert all(each == {"Updates": False} for each in by_token)


def test_a_change_at_one_server_reaches_streams_of_another(
    start_server: Callable[..., Server], redis_client: Any
) -> None:
    """Two servers of one store: in order, and at once."""
    one, other = start_server(), start_server()
    setter, reader = _api(one), _api(other)
    _set(setter, X=0)
    found = reader.stream("/stream?channel=X").objects()
    assert next(found) == {"X": 0}
    for number in range(1, 101):
        _set(setter, X=number)
    assert list(islice(found, 100)) == [{"X": number} for number in range(1, 101)]
    assert redis_client.xlen("channels:changes") == 101


def test_channels_without_a_store(valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path) -> None:
    """Set and stream answer 503 and say why; an open stream goes on, and hears what is set when the store is back."""
    with running_server(tmp_path / "log", **{**store_settings, "REDIS_TIMEOUT": "0.5"}) as server:
        api = _api(server)
        _set(api, X=0)
        found = api.stream("/stream?channel=X&heartbeat=1").objects()
        assert next(found) == {"X": 0}
        valkey.kill()
        other = Api(server.url, api.token)
        for method, path, body in (("PUT", "/channels/X", {"value": 1}), ("GET", "/stream?channel=X", None)):
            other.wrong(503, "store_unavailable", path, method=method, json=body)
        assert next(found) == {"Updates": False}
        valkey.start()
        wait_until(lambda: other.ask("/channels/X", "PUT", json={"value": 2}).ok, "it does not heal")
        assert next(each for each in found if each != {"Updates": False}) in ({"X": 2}, {"Missed": True})
        with valkey.client() as client:
            client.config_set("maxmemory", 1)
            other.wrong(503, "store_unavailable", "/channels/X", method="PUT", json={"value": 3})
            client.config_set("maxmemory", 0)
        _set(other, X=4)
        assert next(each for each in found if each == {"X": 4})


@pytest.mark.usefixtures("valkey_url")
def test_a_stopping_server_ends_its_streams(start_server: Callable[..., Server]) -> None:
    """Streams hold no stop up."""
    server = start_server()
    api = _api(server)
    _set(api, X=0)
    found = [Api(server.url, api.token).stream("/stream?channel=X").objects() for _ in range(20)]
    assert all(next(each) == {"X": 0} for each in found)
    began, worker = time.monotonic(), server.worker
    os.kill(worker, signal.SIGTERM)
    for each in found:
        assert list(each) in ([], [{"Updates": False}])
    assert time.monotonic() - began < 15


@pytest.mark.usefixtures("valkey_url")
def test_idle_streams_cost_no_thread(start_server: Callable[..., Server]) -> None:
    """With eventlet two hundred of them leave the server as many threads as before; each hears what is set."""
    server = start_server(USER_SOCKETS="300", ASYNC_STACK="eventlet")
    api = _api(server)
    _set(api, X=0)
    task = Path(f"/proc/{server.worker}/task")
    before = len(list(task.iterdir()))
    streams = [Api(server.url, api.token).stream("/stream?channel=X&heartbeat=300") for _ in range(200)]
    assert len(list(task.iterdir())) <= before + 1
    _set(api, X=1)
    for each in streams:
        assert list(islice(each.objects(), 2)) == [{"X": 0}, {"X": 1}]
        each.close()


def test_the_examples_updater(server: Server) -> None:
    """It zeroes A to Z, then sets about a fifth of them a turn to 0 to 100; without a good token it says what to do."""
    api = _api(server, "channels")
    found = api.get("/channels")["channels"]
    program = [sys.executable, str(ROOT / "examples" / "random_value_updater.py"), "--seconds", "0.01"]
    environment = {**os.environ, "URL": server.url, "TOKEN": api.token}
    for each in found:
        api.ask(f"/channels/{each['channel']}", "DELETE")
    for token, code, told in (("", 2, "TOKEN is not set"), ("x", 1, "401:")):
        wrong = {**environment, "TOKEN": token}
        done = subprocess.run(program, env=wrong, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr[: len(told)]) == (code, told)
    _set(api, A=0)
    listened = api.stream("/stream.ndjson?channel=A").records()
    last = next(listened)["sequence"]
    subprocess.run([*program, "--times", "50"], env=environment, check=True, timeout=60)
    names = [each["channel"] for each in api.get("/channels")["channels"]]
    assert names == list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    query = "&".join(f"channel={name}" for name in names)
    changes = list(islice(api.stream(f"/stream.ndjson?{query}&after={last}").records(), 150))
    values = [each["value"] for each in changes if each["type"] == "change"]
    assert values[:25] == [0] * 25
    assert all(0 <= value <= 100 for value in values)
    assert len(set(values)) > 20


def test_the_lines_of_the_docs_work(server: Server, person: requests.Session) -> None:
    """All lines of docs/channels.md together are a script that ends well, and shows what they promise."""
    lines = re.findall(r"^    ((?:[A-Z]+=|curl |timeout |sleep ).*)$", PAGE, re.MULTILINE)
    assert sum("curl" in line for line in lines) >= 8
    environment = {**os.environ, "URL": server.url, "TOKEN": make_token(server.url, person, "channels")}
    script = "set -euo pipefail\n" + "\necho; echo ---\n".join(lines) + "\nwait\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr)
    assert re.search(r'---\nok\n---\n\{"X": \d+, "Y": \d+, "Z": \d+\}(\{"[XYZ]": \d+\})*', done.stdout), done.stdout
    assert '"value":{"door": "open"}' in done.stdout


def test_the_docs_name_every_option() -> None:
    """No option of the stream is left out, nor a kind of object."""
    for name in (*StreamQuery.model_fields, "snapshot", "change", "deleted", "missed", "silence", "past"):
        assert f"`{name}" in PAGE, name
