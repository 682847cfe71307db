"""HelloGoodbyer and careless middleware around the running product, and a command line of node's behind both."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import socketio

from scripts import vendor
from tests.api import Api, make_token
from tests.crowd import cookie_of
from tests.integration.simulator_fixture import Simulator
from tests.server_fixture import settings_for
from tests.serving import Server, running_server
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "websocket_connect.js"
USER_SOCKETS = 3


@pytest.fixture(scope="module")
def changed(
    _valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with both around it, on the leg that ASYNC_STACK names."""
    folder = tmp_path_factory.mktemp("changed")
    settings = {
        **settings_for(_valkey_socket, _shared_simulator, folder),
        "WSGI_MIDDLEWARE": "tests.monitoring:careless, app.hellogoodbyer.HelloGoodbyer, tests.monitoring:closing",
    }
    with running_server(folder / "log", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def program(changed: Server) -> Api:
    """Somebody's program."""
    return Api(changed.url, make_token(changed.url, changed.log_in()))


def test_streams_that_middleware_does_not_close_count_no_more(start_server: Callable[..., Server]) -> None:
    """Who has left has left, however often: the next stream has its place, and no descriptor stays."""
    server = start_server(WSGI_MIDDLEWARE="tests.monitoring:careless", USER_SOCKETS=str(USER_SOCKETS))
    program = Api(server.url, make_token(server.url, server.log_in()))
    run = program.start("lines", count=100_000, pause=0.05)
    files = Path(f"/proc/{server.worker}/fd")
    before = len(list(files.iterdir()))
    for _ in range(3 * USER_SOCKETS):
        wait_until(lambda: _stream_and_leave(program, run), "streams that have ended count")
    wait_until(lambda: len(list(files.iterdir())) <= before + 5, "descriptors stay")
    program.stop(run)


def _stream_and_leave(program: Api, run: str) -> bool:
    address = f"{program.url}/runs/{run}/output.ndjson"
    with requests.get(address, headers=program.headers, stream=True, timeout=20) as answer:
        if answer.status_code == requests.codes.too_many_requests:
            return False
        return bool(next(answer.iter_content(50)).startswith(b'{"type":"begin"'))


def test_output_is_not_changed(changed: Server, program: Api) -> None:
    """Output is exact, with its length and its ranges, by download and by the API; the run's page is for people."""
    run = program.start("pieces", text="Hello, hello", cut=1)
    program.wait_end(run)
    person = changed.log_in()
    whole = person.get(f"{changed.url}/runs/{run}/output", timeout=20)
    assert whole.content.startswith(b"Hello, hello")
    assert whole.headers["Cache-Control"] == "no-store, no-transform"
    assert whole.headers["Content-Length"] == str(len(whole.content))
    part = person.get(f"{changed.url}/runs/{run}/output", headers={"Range": "bytes=7-11"}, timeout=20)
    assert (part.status_code, part.content) == (206, b"hello")
    assert program.output(run) == whole.content
    page = person.get(f"{changed.url}/runs/{run}", timeout=20)
    assert "Goodbye, goodbye" in page.text
    assert "Hello" not in page.text
    assert page.headers["Content-Length"] == str(len(page.content))


def test_what_middleware_answers_has_headers_too(changed: Server) -> None:
    """It is under a policy, unless it has one of its own; what is outside of it changes it as all else."""
    answer = requests.get(f"{changed.url}/closed", timeout=20)
    assert (answer.status_code, answer.text) == (503, "We are closed. Goodbye tomorrow.")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "max-age=5"


def test_polling_is_not_changed(changed: Server) -> None:
    """Socket.IO's packets stay as they are, also where they are answers to HTTP."""
    person, heard = changed.log_in(), []
    client = socketio.Client(reconnection=False)

    @client.on("greeting")  # type: ignore[untyped-decorator] # the library has no types
    def _(message: dict[str, str]) -> str:
        heard.append(message["data"])
        return "hello from polling"

    client.connect(changed.url, headers={"Cookie": cookie_of(person)}, transports=["polling"], wait_timeout=20)
    answer = person.get(f"{changed.url}/examples/streamed?socket={client.get_sid()}", timeout=30)
    client.disconnect()
    assert heard == ["Hello from view!", "Hello from iterator!"]
    assert answer.text.count("The answer was: goodbye from polling") == 2


@pytest.fixture(scope="module")
def node() -> str:
    """Node.js, with the package `ws` where set-up installs what is for development."""
    if not (vendor.BUILD / "node_modules" / "ws").is_dir():
        vendor.install()
    return vendor.node()


def _run(node: str, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    names = {**os.environ, "TOKEN": token}
    command = [node, str(SCRIPT), *arguments]
    return subprocess.run(command, env=names, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("view", ["plain", "streamed"])
def test_node_talks_from_the_command_line(changed: Server, program: Api, node: str, view: str) -> None:
    """The script logs what comes and answers it; the server hears the answers and closes."""
    address = f"{changed.url}/examples/{view}"
    done = _run(node, address, token=program.token)
    greetings = ["Hello from view!", "Hello from iterator!"][: 1 if view == "plain" else 2]
    expected = [f"connected to {address.replace('http', 'ws', 1)}", *greetings, "closed: 1000"]
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (expected, "", 0)
    answered = f"a greeting was answered: Answer {len(greetings)} from node"
    wait_until(lambda: answered in changed.log.read_text(), changed.log)


def test_node_says_why_it_was_refused(changed: Server, node: str) -> None:
    """Without a good token, and where nobody answers: one line, and an exit code."""
    for token in ("", "frt_wrong"):
        done = _run(node, f"{changed.url}/examples/plain", token=token)
        assert done.returncode == 1
        assert "refused: 401" in done.stderr
        assert "login_required" in done.stderr
    done = _run(node, "http://localhost:1/examples/plain")
    assert done.returncode == 1
    assert "ECONNREFUSED" in done.stderr
    assert "    at " not in done.stderr
