"""The console through its Socket.IO door: Start, live output, Stop, and everything a job may do in between."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import pytest
import requests

from tests.oracle import numbers
from tests.serving import Page, Server


def test_start_shows_every_line_and_the_end(page: Page, server: Server, person: requests.Session) -> None:
    """A job's lines arrive in order, then its final status; the download has the same bytes."""
    run = page.start("lines", count=5000)
    ended = page.wait_for_end(run)
    assert (ended["status"], ended["exit_code"]) == ("succeeded", 0)
    assert page.text(run) == numbers(5000)
    assert server.output(person, run) == numbers(5000).encode()


def test_a_client_of_the_seed_needs_no_arguments(server: Server, person: requests.Session) -> None:
    """start_request alone starts the example job and streams it; stop_request alone stops that run."""
    page = server.page(person, acknowledge=False)
    page.client.emit("start_request")
    with page.changed:
        assert page.changed.wait_for(lambda: page.texts, 20)
    run = next(iter(page.texts))
    page.client.emit("stop_request")
    assert page.wait_for_end(run)["status"] in ("stopped", "succeeded")
    page.close()


def test_stop_ends_a_job_that_asks(page: Page) -> None:
    """A job that looks at running() ends soon after Stop, as stopped."""
    run = page.start("lines", count=100_000, pause=0.01)
    page.wait_for_text(run, "3\n")
    began = time.monotonic()
    assert page.call("stop_request", {"run": run})["ok"]
    assert page.wait_for_end(run)["status"] == "stopped"
    assert time.monotonic() - began < 5


def test_stop_cancels_an_async_job(page: Page) -> None:
    """A sleeping asyncio job is cancelled, and may print its last words."""
    run = page.start("sleeper")
    page.wait_for_text(run, "sleeping")
    page.call("stop_request")
    assert page.wait_for_end(run)["status"] == "stopped"
    assert page.text(run) == "sleeping\ncancelled\n"


def test_stopping_what_has_ended_changes_nothing(page: Page) -> None:
    """Stop after the end answers with the run as it ended."""
    run = page.start("lines", count=1)
    page.wait_for_end(run)
    assert page.call("stop_request", {"run": run})["run"]["status"] == "succeeded"


@pytest.mark.parametrize(
    ("how", "status", "code", "output"),
    [
        ("exception", "failed", 1, "ValueError: it broke <b>here</b>"),
        ("exit 3", "failed", 3, "before\n"),
        ("exit text", "failed", 1, "a last word\n"),
        ("exit 0", "succeeded", 0, "before\n"),
        ("closed", "succeeded", 0, "before\n"),
        ("replaced", "succeeded", 0, "before\n"),
        ("interrupt", "failed", 1, "KeyboardInterrupt"),
        ("thread", "succeeded", 0, "before\nlate\n"),
        ("daemon", "succeeded", 0, "before\n"),
    ],
)
def test_every_end_is_proper_and_the_next_start_works(
    page: Page, how: str, status: str, code: int, output: str
) -> None:
    """However a job ends, it gets its status, its output is complete, and another run starts."""
    run = page.start("ends", how=how)
    ended = page.wait_for_end(run)
    assert (ended["status"], ended["exit_code"]) == (status, code)
    assert page.text(run).startswith("before\n")
    assert output in page.text(run)
    after = page.start("silent")
    assert page.wait_for_end(after)["status"] == "succeeded"
    assert page.text(after) == ""


def test_a_traceback_shows_the_jobs_own_lines_only(page: Page) -> None:
    """The author sees where the job broke, not the server's frames."""
    run = page.start("ends", how="exception")
    page.wait_for_end(run)
    assert "trials.py" in page.text(run)
    assert "executors" not in page.text(run)


def test_output_by_every_means_arrives_and_the_console_is_empty(page: Page, server: Server) -> None:
    """print, stderr, logging, threads, pools, tasks and bytes: all in the run, nothing in the server's log."""
    before = _log(server)
    run = page.start("everything")
    page.wait_for_end(run)
    expected = ["print", "stderr", "logging", "thread", "pool", "task", "bytes é", "no newline"]
    assert page.text(run).split("\n") == expected
    assert _log(server) == before


def _log(server: Server) -> list[str]:
    """The server's log without the audit record, and without that a busy machine held it up."""
    others = ("app.audit", "app.watchdog")
    return [line for line in server.log.read_text().splitlines() if not any(other in line for other in others)]


def test_a_line_of_ten_megabytes_arrives(page: Page, server: Server, person: requests.Session) -> None:
    """A huge line comes in pieces and is whole in the end."""
    run = page.start("huge")
    page.wait_for_end(run)
    assert page.text(run) == "x" * 10_000_000 + "\n"
    assert server.output(person, run) == b"x" * 10_000_000 + b"\n"


def test_hostile_bytes_are_stored_as_they_are(page: Page, server: Server, person: requests.Session) -> None:
    """Markup, control sequences, NUL and broken UTF-8 come back to the byte; text shows U+FFFD."""
    run = page.start("hostile")
    page.wait_for_end(run)
    assert server.output(person, run).endswith(b"\xff\x00\xfe broken \xe2\x82\n")
    assert page.text(run).endswith("\ufffd\x00\ufffd broken \ufffd\n")


def test_twenty_runs_with_threads_lose_and_mix_nothing(page: Page) -> None:
    """Twenty runs at once, each printing 5,000 lines from main and child threads."""
    runs = [page.start("lines", count=1250, threads=4) for _ in range(20)]
    expected = {str(name): [f"{name}.{number}" for number in range(1250)] for name in range(4)}
    for run in runs:
        page.wait_for_end(run, 100)
        found: dict[str, list[str]] = defaultdict(list)
        for line in page.text(run).splitlines():
            found[line.split(".")[0]].append(line)
        assert found == expected


def test_the_job_runs_as_the_user_and_no_token_is_shown(page: Page, server: Server, person: requests.Session) -> None:
    """The injected names are the user's; the token is masked in output and download, also when printed in two parts."""
    run = page.start("who", twice=True)
    ended = page.wait_for_end(run)
    assert ended["status"] == "succeeded", page.text(run)
    assert ended["progress"] == [10, 10]
    assert page.text(run).splitlines() == [f"{ended['user']} {run}", "token: ***** again", "split: *****"]
    assert b"split: *****\n" in server.output(person, run)


def test_another_page_sees_the_run_from_its_beginning(server: Server, person: requests.Session, page: Page) -> None:
    """A page opened in mid-run gets everything from 0; one that knows a part gets the rest."""
    run = page.start("lines", count=300, pause=0.005)
    page.wait_for_text(run, "100\n")
    other = server.page(person)
    assert other.watch(run)["ok"]
    third = server.page(person)
    assert third.watch(run, after=4)["ok"]
    for each in (page, other, third):
        each.wait_for_end(run)
    assert page.text(run) == other.text(run) == numbers(300)
    assert third.text(run) == numbers(300)[4:]
    assert other.gaps == third.gaps == []
    other.close()
    third.close()


def test_a_disconnect_does_not_end_the_job(server: Server, person: requests.Session) -> None:
    """The page goes away in mid-run; the job goes on, and a new page has every byte once."""
    first = server.page(person)
    run = first.start("lines", count=200, pause=0.005)
    first.wait_for_text(run, "20\n")
    seen, position = first.text(run), first.positions[run]
    first.close()
    seen, position = first.text(run), first.positions[run]
    second = server.page(person)
    second.watch(run, after=position)
    assert second.wait_for_end(run)["status"] == "succeeded"
    assert seen + second.text(run) == numbers(200)
    second.close()


def test_a_viewer_that_does_not_acknowledge_gets_one_window(server: Server, person: requests.Session) -> None:
    """With ack, no more than WINDOW_BYTES comes beyond what was acknowledged; an ack brings the rest."""
    page = server.page(person)
    page.acknowledge = False
    answer = page.call("start_request", {"job": "huge", "params": {"size": 3_000_000}, "ack": True})
    run = answer["run"]["id"]
    with page.changed:
        page.changed.wait_for(lambda: page.positions.get(run, 0) > 900_000, 20)
    time.sleep(0.5)
    assert page.positions[run] <= 1_048_576
    page.acknowledge = True
    page.client.emit("ack", {"run": run, "position": page.positions[run]})
    page.wait_for_end(run)
    assert len(page.text(run)) == 3_000_001
    page.close()


def test_unwatch_ends_the_output(page: Page) -> None:
    """After unwatch nothing more of the run comes."""
    run = page.start("lines", count=1000, pause=0.005)
    page.wait_for_text(run, "10\n")
    assert page.call("unwatch", {"run": run}) == {"ok": True}
    # What was on its way.
    time.sleep(0.5)
    before = page.text(run)
    time.sleep(0.3)
    assert page.text(run) == before
    page.call("stop_request", {"run": run})


def test_the_same_key_is_one_run(server: Server, person: requests.Session) -> None:
    """Twenty Start clicks at once with one key make one run."""
    found: list[str] = []

    def click() -> None:
        page = server.page(person)
        answer = page.call("start_request", {"job": "lines", "params": {"count": 3}, "key": "click-1"})
        found.append(answer["run"]["id"])
        page.close()

    threads = [threading.Thread(target=click) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == 1
