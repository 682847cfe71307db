"""Races between clicks, and between Stop and a run's own end: one of them wins."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import requests

from tests.serving import Page, Server


def test_twenty_clicks_are_one_run(server: Server, person: requests.Session, tmp_path: Path) -> None:
    """Twenty pages of one person press Start with one key at once: one run, and everybody gets it."""
    pages = [server.page(person) for _ in range(20)]
    message = {"job": "heartbeat", "params": {"file": str(tmp_path / "beats")}, "key": "one click"}
    answers: list[dict[str, Any]] = []
    together = threading.Barrier(len(pages))

    def click(page: Page) -> None:
        together.wait()
        answers.append(page.call("start_request", message))

    threads = [threading.Thread(target=click, args=(page,)) for page in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer["ok"] for answer in answers)
    assert len({answer["run"]["id"] for answer in answers}) == 1
    run = answers[0]["run"]["id"]
    pages[0].wait_for_text(run, "beat 3\n")
    pages[0].call("stop_request", {"run": run})
    for page in pages:
        assert page.wait_for_end(run)["status"] == "stopped"
        assert page.text(run) == (tmp_path / "beats").read_text()
        page.close()


def test_stop_races_the_natural_end(redis_client: Any, page: Page) -> None:
    """A thousand times Stop comes as the job ends: one final status, one end, and an answer that agrees with it."""
    final = ("succeeded", "stopped")
    seen = set()
    for number in range(1000):
        run = page.start("lines", count=3, pause=0.002)
        time.sleep((number % 8) * 0.001)
        answer = page.call("stop_request", {"run": run})
        assert answer["ok"], answer
        ended = page.wait_for_end(run)
        assert ended["status"] in final
        told = answer["run"]["status"]
        assert told in ("stopping", ended["status"])
        ends = [fields for _, fields in redis_client.xrange(f"run:{run}:log") if fields.get(b"k") == b"end"]
        assert len(ends) == 1
        assert redis_client.hget(f"run:{run}", "status").decode() == ended["status"]
        assert "0\n1\n2\n".startswith(page.text(run))
        seen.add(ended["status"])
    assert seen == set(final)
