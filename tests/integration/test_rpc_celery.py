"""JSON-RPC's `celery_echo` with a real RabbitMQ and real workers: work done elsewhere, asked for again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.model import new_id
from tests.api import make_token, revoke_tokens
from tests.brokers import RabbitBroker
from tests.integration.simulator_fixture import Simulator
from tests.integration.test_rpc_docs import lines_of, run_lines
from tests.rpc import Rpc
from tests.server_fixture import settings_for
from tests.serving import Server, running_server
from tests.waiting import wait_until
from tests.workers import Worker

# Workers and brokers start, and machines are slow.
pytestmark = pytest.mark.timeout(240)


class Place:
    """A RabbitMQ, a web server, a worker as soon as a test wants it; `folder` is the worker's."""

    def __init__(self, server: Server, broker: RabbitBroker, settings: dict[str, str], folder: Path) -> None:
        self.server, self.broker, self._settings, self._folder = server, broker, settings, folder
        self._worker: Worker | None = None
        self.person = server.log_in()
        self._name = new_id()
        self.token = make_token(server.url, self.person, name=self._name)
        self.rpc = Rpc(server.url, self.token)

    def worker(self) -> Worker:
        """A worker that is ready."""
        if self._worker is None or self._worker.process.poll() is not None:
            # A log of its own: the last one's says that it was ready.
            folder = self._folder / new_id()
            folder.mkdir()
            self._worker = Worker(folder, self._settings)
            self._worker.wait_ready()
        return self._worker

    def start_long(self, text: str) -> str:
        """An echo that takes its time; the task's id."""
        params = {"method": "echo", "text": text, "seconds": 60}
        task: str = self.rpc.call("runs.start", job="celery_echo", params=params)["id"]
        return task

    def close(self) -> None:
        """End the worker, and the token."""
        revoke_tokens(self.server.url, self.person, self._name)
        if self._worker:
            self._worker.close()

    def until(self, task: str, state: str) -> dict[str, Any]:
        """Wait for a task's state; the result then."""
        wait_until(lambda: self.rpc.call("get_result", task)["state"] == state, state, seconds=90, pause=0.1)
        found: dict[str, Any] = self.rpc.call("get_result", task_id=task)
        return found


@pytest.fixture(scope="module")
def place(
    _valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """The whole."""
    broker = RabbitBroker(tmp_path_factory.mktemp("rabbit"))
    try:
        folder = tmp_path_factory.mktemp("rpc_celery")
        settings = settings_for(_valkey_socket, _shared_simulator, folder)
        settings |= {**broker.settings, "WORKER_RUNS": "2", "WORKER_GRACE": "0.5", "CELERY_ECHO_SECONDS": "1"}
        with running_server(folder / "server.log", **settings) as server:
            place = Place(server, broker, settings, folder)
            yield place
            place.close()
    finally:
        broker.close()


@pytest.fixture
def worker(place: Place) -> Worker:
    """A worker that is ready, the same for all tests that do not end it."""
    return place.worker()


def test_without_a_worker_the_error_says_so(place: Place) -> None:
    """Nobody who would do it is up: an error, and no task that waits for ever."""

    def refused() -> bool:
        answer = place.rpc.ask("celery_echo", "echo", "x")
        if "result" in answer:
            # Another test's worker may have gone a moment ago.
            place.rpc.call("runs.stop", answer["result"]["task_id"])
        return "error" in answer

    wait_until(refused, "a worker that has gone is thought to be up", seconds=60, pause=1)
    error = place.rpc.wrong(-32014, "worker_unavailable", "celery_echo", "echo", "x")
    assert "No worker is up for the queue celery:default" in error["message"]
    # Started as a run it waits all the same, and the result says for what.
    task = place.rpc.call("runs.start", "celery_echo", {"method": "echo", "text": "x"})["id"]
    found = place.rpc.call("get_result", task)
    assert (found["state"], "No worker is up" in found["message"]) == ("PENDING", True)
    place.rpc.call("runs.stop", task)
    assert place.rpc.call("get_result", task) == {"task_id": task, "state": "REVOKED"}


@pytest.mark.usefixtures("worker")
def test_a_text_is_echoed_elsewhere(place: Place) -> None:
    """The id comes at once; the result is asked for until it is there, after its delay, and can be had again."""
    began = time.monotonic()
    task = place.rpc.call("celery_echo", "uppercase", "Grüße\r\n\t😀 ")
    assert set(task) == {"task_id"}
    states: list[str] = []
    while not states or states[-1] != "SUCCESS":
        found = place.rpc.call("get_result", task["task_id"])
        assert found["task_id"] == task["task_id"]
        assert ("echo" in found) == (found["state"] == "SUCCESS")
        states.append(found["state"])
        assert time.monotonic() < began + 90
        time.sleep(0.05)
    assert time.monotonic() - began >= 1
    # One may pass between two questions.
    seen = list(dict.fromkeys(states))
    assert seen == [state for state in ("PENDING", "STARTED", "SUCCESS") if state in seen]
    for _ in range(3):
        assert place.rpc.call("get_result", **task) == {**task, "state": "SUCCESS", "echo": "GRÜSSE\r\n\t😀 "}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("method", "text", "expected"),
    [
        ("echo", "", ""),
        ("reverse", "abc", "cba"),
        ("lowercase", "ABC", "abc"),
        ("echo", "\0\x1b[31m\u2028", "\0\x1b[31m\u2028"),
        # Each letter has three as its capital.
        ("uppercase", "\u0390" * 10_000, "\u0399\u0308\u0301" * 10_000),
        ("echo", "<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
    ids=["nothing", "reverse", "lowercase", "control", "long", "markup"],
)
def test_texts_of_all_kinds(place: Place, method: str, text: str, expected: str) -> None:
    """Each way, nothing, control characters, the longest one: the echo is exact."""
    task = place.rpc.call("celery_echo", method=method, text=text)["task_id"]
    assert place.until(task, "SUCCESS")["echo"] == expected


@pytest.mark.usefixtures("worker")
def test_a_task_is_a_run_and_its_owners(place: Place, new_token: Callable[..., str]) -> None:
    """It is among its owner's runs and can be stopped; for others it is none, as is what never was."""
    task = place.rpc.call("celery_echo", "echo", "mine")["task_id"]
    run = place.rpc.call("runs.status", task)
    assert (run["job"], run["params"]["seconds"]) == ("celery_echo", 1)
    task = place.start_long("mine")
    stranger = place.server.log_in(1)
    for other in (
        Rpc(place.server.url, make_token(place.server.url, stranger)),
        Rpc(place.server.url, person=stranger),
    ):
        for each in (task, "A" * 22, "", "../x"):
            other.wrong(-32004, "not_found", "get_result", each)
    place.rpc.call("runs.stop", task)
    revoked = place.until(task, "REVOKED")
    assert "echo" not in revoked
    assert Rpc(place.server.url, person=place.person).call("get_result", task) == revoked


def test_a_killed_worker_is_a_failure(place: Place, worker: Worker) -> None:
    """Its task does not look PENDING or STARTED for ever."""
    task = place.start_long("x")
    place.until(task, "STARTED")
    worker.kill()
    found = place.until(task, "FAILURE")
    assert found["message"]


@pytest.mark.usefixtures("worker")
def test_a_broker_that_is_away_delays_and_is_told(place: Place) -> None:
    """Frozen: the call answers at once, the result says what the matter is, and the echo comes when it goes on."""
    place.broker.freeze()
    try:
        began = time.monotonic()
        task = place.rpc.call("celery_echo", "echo", "late")["task_id"]
        assert time.monotonic() - began < 5
        wait_until(
            lambda: "broker" in place.rpc.call("get_result", task).get("message", ""), "nothing is told", seconds=60
        )
    finally:
        place.broker.thaw()
    assert place.until(task, "SUCCESS")["echo"] == "late"


@pytest.mark.usefixtures("worker")
def test_the_job_is_on_the_pages_too(place: Place) -> None:
    """Where a broker is, people can start it as any job."""
    page = place.person.get(f"{place.server.url}/jobs/celery_echo", timeout=20).text
    assert "Celery echo" in page
    assert all(f">{way}</option>" in page for way in ("echo", "reverse", "uppercase", "lowercase"))


@pytest.mark.usefixtures("worker")
def test_the_lines_of_the_documentation_work(place: Place) -> None:
    """Those for Celery, as they stand in docs/rpc.md."""
    answers = run_lines(lines_of(celery=True), place.server.url, place.token)
    assert '"state": "' in answers[-1]
    assert not any('"error"' in each for each in answers)
