"""Celery runs, with real brokers and real workers: begun once, wherever there is room, and never in secret."""

from __future__ import annotations

import functools
import json
import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from app.broker import TASK
from app.config import load_settings
from app.worker import Hearing
from tests.brokers import QUEUE
from tests.processes import processes_of
from tests.waiting import took, wait_until
from tests.workers import Site, Worker

# Workers and brokers start, and machines are slow.
pytestmark = pytest.mark.timeout(240)
Start = Callable[..., Worker]


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """The file where runs leave their marks."""
    return tmp_path / "marks"


def marked(file: Path) -> list[str]:
    """Who has begun the runs that leave their marks there: process and folder."""
    return file.read_text().splitlines() if file.exists() else []


def succeed(site: Site, marks: Path, job: str = "mark") -> None:
    """A run that leaves its mark does so, and succeeds."""
    before = len(marked(marks))
    run = site.page.start(job, file=str(marks))
    assert site.page.wait_for_end(run)["status"] == "succeeded"
    assert len(marked(marks)) == before + 1


def stay(site: Site, marks: Path) -> str:
    """A run that is at a worker until it is stopped."""
    run = site.page.start("stay", file=str(marks))
    site.page.wait_for_text(run, "here\n", 60)
    return run


def announce(site: Site, marks: Path) -> str:
    """A run that waits, as the page and the broker know."""
    run = site.page.start("mark", file=str(marks))
    wait_until(lambda: site.broker.waiting(QUEUE) > 0, "no hint came to the broker")
    return run


def told(site: Site, run: str, text: str) -> None:
    """Wait until the page has a text about a waiting run."""
    wait_until(lambda: text in site.page.queues.get(run, {}).get("message", ""), site.server.log, seconds=60)


def hint(run: object, **headers: object) -> tuple[bytes, dict[str, object]]:
    """A message as Celery's protocol wants it, of anybody's."""
    task = str(uuid.uuid4())
    body = json.dumps([[run], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()
    about = {"lang": "py", "task": TASK, "id": task, "root_id": task, "parent_id": None, "group": None, **headers}
    return body, {"content_type": "application/json", "content_encoding": "utf-8", "application_headers": about}


def test_a_run_happens_at_a_worker_and_is_watched_as_any(site: Site, start_worker: Start, marks: Path) -> None:
    """In the worker's own folder, by another process; its output and its end come to the page."""
    worker = start_worker()
    run = site.page.start("mark", file=str(marks))
    ended = site.page.wait_for_end(run)
    assert (ended["status"], ended["exit_code"], site.page.text(run)) == ("succeeded", 0, "done\n")
    (mark,) = marked(marks)
    assert mark.endswith(str(worker.folder))


def test_a_job_waits_for_a_worker_that_has_what_it_needs(site: Site, start_worker: Start, marks: Path) -> None:
    """Without a worker for its queue it waits, and the page says so; with one it runs there."""
    start_worker()
    run = site.page.start("mark_on_gpu", file=str(marks))
    wait_until(lambda: run in site.page.queues, "nothing of the queue is told")
    told = site.page.queues[run]
    assert (told["position"], told["takers"]) == (1, 0)
    assert told["message"] == "No worker is up for the queue celery:gpu."
    succeed(site, marks.with_name("others"))
    able = start_worker("--queues", "default,gpu")
    assert site.page.wait_for_end(run)["status"] == "succeeded"
    assert [mark.split()[1] for mark in marked(marks)] == [str(able.folder)]


def test_a_run_that_was_stopped_while_no_worker_was_up_never_runs(site: Site, start_worker: Start, marks: Path) -> None:
    """Its hints are at the broker when a worker comes; they bring it nothing."""
    run = announce(site, marks)
    assert site.page.call("stop_request", {"run": run})["ok"]
    assert site.page.wait_for_end(run)["status"] == "stopped"
    start_worker()
    succeed(site, marks.with_name("others"))
    assert marked(marks) == []


def test_a_killed_run_is_lost_and_nobody_runs_it_again(site: Site, start_worker: Start, tmp_path: Path) -> None:
    """A whole worker, and one process of another's pool: lost within 30 s, and nothing is left; the others go on."""
    first, second = start_worker(WORKER_RUNS="1"), start_worker(WORKER_RUNS="3")
    files = [tmp_path / name for name in ("one", "two", "three", "four")]
    runs = [stay(site, file) for file in files]
    where = [marked(file)[0].split() for file in files]
    alone = next(index for index, (_, folder) in enumerate(where) if folder == str(first.folder))
    hurt, *well = [index for index in range(4) if index != alone]
    (hand,) = set(_ancestors(int(where[hurt][0]))) & set(processes_of(second.process.pid)) - {second.process.pid}
    first.kill()
    os.kill(hand, signal.SIGKILL)
    for index in (alone, hurt):
        seconds, ended = took(functools.partial(site.until, runs[index], "lost"))
        assert seconds < 30
        assert ended["message"]
        assert not Path(f"/proc/{where[index][0]}").exists()
    start_worker()
    for _ in range(4):
        succeed(site, tmp_path / "next")
    for index in well:
        files[index].with_name(f"{files[index].name}.end").touch()
        assert site.page.wait_for_end(runs[index])["status"] == "succeeded"
        assert site.page.text(runs[index]) == "here\nleaving\n"
    assert [len(marked(file)) for file in files] == [1] * 4


def _ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        found.append(process)
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def test_messages_that_come_again_or_are_nonsense_begin_nothing(site: Site, start_worker: Start, marks: Path) -> None:
    """Doubled, of unknown runs, with wrong arguments, of unknown tasks, huge, and no messages at all."""
    run = announce(site, marks)
    messages = [hint(run), hint(run), hint("A" * 22), hint(["x" * 2_000_000]), hint(None), hint(run, task="os.system")]
    for body, properties in messages:
        site.broker.put(QUEUE, body, **properties)
    for body in (b"", b"\xff\x00nonsense", b"{}", b"[1, 2]", b'{"body": 1}', b"[" * 100_000):
        site.broker.put(QUEUE, body)
    worker = start_worker()
    assert site.page.wait_for_end(run)["status"] == "succeeded"
    wait_until(lambda: site.broker.waiting(QUEUE) == 0, worker.log)
    for _ in range(3):
        succeed(site, marks)
    assert worker.process.poll() is None
    assert len(marked(marks)) == 4


def test_a_broker_that_is_away_delays_runs_and_nothing_else(site: Site, start_worker: Start, marks: Path) -> None:
    """Start answers at once, the page says what is the matter, and what waits begins when the broker is back."""
    runs = [announce(site, marks)]
    site.broker.kill()
    try:
        seconds, run = took(lambda: site.page.start("mark", file=str(marks)))
        assert seconds < 5
        runs.append(run)
        for each in runs:
            told(site, each, "cannot be reached")
        stopped = site.page.start("mark", file=str(marks))
        assert site.page.call("stop_request", {"run": stopped})["ok"]
        assert site.page.wait_for_end(stopped)["status"] == "stopped"
    finally:
        site.broker.start()
    worker = start_worker()
    assert {site.page.wait_for_end(each, 90)["status"] for each in runs} == {"succeeded"}, worker.log.read_text()
    assert len(marked(marks)) == 2
    # A worker that was there meanwhile hears again.
    site.broker.kill()
    site.broker.start()
    succeed(site, marks)


def test_lost_messages_are_made_anew(site: Site, start_worker: Start, marks: Path) -> None:
    """What a broker has forgotten, the store has not."""
    run = announce(site, marks)
    site.broker.purge()
    wait_until(lambda: site.broker.waiting(QUEUE) > 0, "no hint came again")
    site.broker.purge()
    start_worker()
    assert site.page.wait_for_end(run)["status"] == "succeeded"


def test_a_broker_that_does_not_answer_holds_nobody_up(site: Site, start_worker: Start, marks: Path) -> None:
    """Frozen, with its connections open: Start and other pages answer, and the run begins when it goes on."""
    runs = [announce(site, marks)]
    site.broker.freeze()
    try:
        seconds, run = took(lambda: site.page.start("mark", file=str(marks)))
        assert seconds < 5
        runs.append(run)
        for _ in range(20):
            seconds, answer = took(lambda: site.person.get(f"{site.server.url}/healthz", timeout=10))
            assert answer.ok
            assert seconds < 5
        told(site, run, "does not answer")
    finally:
        site.broker.thaw()
    start_worker()
    assert {site.page.wait_for_end(each, 90)["status"] for each in runs} == {"succeeded"}
    assert len(marked(marks)) == 2


def test_one_at_a_time_is_so_on_all_workers_together(site: Site, start_worker: Start, marks: Path) -> None:
    """A job that may run once at a time does, though more places are free; each run has its turn."""
    start_worker()
    start_worker()
    runs = [site.page.start("mark_alone", file=str(marks)) for _ in range(5)]
    assert {site.page.wait_for_end(run)["status"] for run in runs} == {"succeeded"}
    lines = marked(marks)
    assert len(lines) == 10
    assert lines[1::2] == ["end"] * 5


def test_a_worker_that_is_told_to_end_stops_its_runs_and_takes_no_more(
    site: Site, start_worker: Start, tmp_path: Path
) -> None:
    """They may go on for WORKER_GRACE, then they are stopped as by Stop; what waits is for the others."""
    worker = start_worker()
    runs = [stay(site, tmp_path / name) for name in ("one", "two")]
    waiting = site.page.start("mark", file=str(tmp_path / "three"))
    worker.process.terminate()
    for run in runs:
        ended = site.page.wait_for_end(run)
        assert (ended["status"], ended["message"]) == ("stopped", "The worker was stopped.")
        assert site.page.text(run) == "here\nleaving\n"
    assert worker.process.wait(40) == 0
    wait_until(lambda: processes_of(worker.process.pid) == {}, "something is left")
    wait_until(lambda: site.page.queues[waiting]["reason"] == "takers", "the worker seems to be up")
    assert marked(tmp_path / "three") == []
    start_worker()
    assert site.page.wait_for_end(waiting)["status"] == "succeeded"


def test_a_worker_finds_that_it_is_deaf(site: Site) -> None:
    """It is idle and hears nothing though a hint waits at the broker; without a hint, or at work, all is well."""
    settings = load_settings(None, **{name.lower(): value for name, value in site.settings.items()})
    hearing = Hearing(settings.model_copy(update={"worker_deaf_seconds": 1}), ["celery:never", "celery:default"])
    site.broker.purge()
    wait_until(lambda: site.broker.waiting(QUEUE) == 0)

    def later(*, idle: bool) -> bool:
        time.sleep(1.1)
        return hearing.deaf(idle=idle)

    assert not later(idle=True)
    site.broker.put(QUEUE, b"something")
    try:
        assert not later(idle=False)
        # The broker may be slow, and is not waited for.
        wait_until(lambda: later(idle=True))
        hearing.heard()
        assert not hearing.deaf(idle=True)
    finally:
        site.broker.purge()
