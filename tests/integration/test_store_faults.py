"""The store suffers: full, its disk full, frozen, cut off, its answers lost. Nothing is lost, Stop works, all heals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.killable import Valkey
from tests.oracle import numbers
from tests.proxy import Proxy
from tests.serving import Page, running_server
from tests.waiting import took

FAST = 3.0
TIMEOUT = 5.0


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[Proxy]:
    """A network between server and store."""
    made = Proxy(str(valkey.socket))
    yield made
    made.close()


def _refused_at_once(page: Page, words: str) -> None:
    seconds, answer = took(lambda: page.call("start_request", {"job": "silent"}))
    assert answer["error"]["code"] == "store_unavailable"
    assert words in answer["error"]["message"]
    assert seconds < FAST


def _no_more(file: Path) -> str:
    """What a job has written that writes no more."""
    time.sleep(0.3)
    text = file.read_text()
    time.sleep(0.3)
    assert file.read_text() == text
    return text


def _well_again(page: Page) -> None:
    page.wait_for_storage(available=True)
    assert page.storage[-1] == {"available": True, "since": None, "reason": ""}
    after = page.start("silent")
    assert page.wait_for_end(after)["status"] == "succeeded"


def test_lost_answers_repeat_nothing(
    valkey: Valkey, proxy: Proxy, store_settings: dict[str, Any], tmp_path: Path
) -> None:
    """The store writes, and its answer is lost, many times: each byte is stored once, and there is one end."""
    with running_server(tmp_path / "log", **{**store_settings, "REDIS_URL": proxy.redis_url}) as server:
        person = server.log_in()
        page = server.page(person)
        run = page.start("lines", count=2000, pause=0.002)
        page.wait_for_text(run, "9\n")
        proxy.drop_every = 7
        assert page.wait_for_end(run)["status"] == "succeeded"
        proxy.drop_every = 0
        assert proxy.dropped > 20
        assert page.text(run) == numbers(2000)
        assert page.gaps == []
        with valkey.client() as client:
            kinds = [fields.get(b"k") for _, fields in client.xrange(f"run:{run}:log")]
        assert kinds.count(b"end") == 1
        assert kinds.count(b"omitted") == 0
        page.close()


def test_a_store_that_is_cut_off_holds_nobody_up(proxy: Proxy, store_settings: dict[str, Any], tmp_path: Path) -> None:
    """Packets vanish for a while: pages say so in time, no request waits beyond its limit, then all catches up."""
    with running_server(tmp_path / "log", **{**store_settings, "REDIS_URL": proxy.redis_url}) as server:
        person = server.log_in()
        page = server.page(person)
        run = page.start("lines", count=1500, pause=0.01)
        page.wait_for_text(run, "20\n")
        proxy.hold()
        lasted: list[float] = []
        answers: list[requests.Response] = []

        def ask() -> None:
            seconds, answer = took(lambda: requests.get(server.url, cookies=person.cookies, timeout=30))
            lasted.append(seconds)
            answers.append(answer)

        visitors = [threading.Thread(target=ask) for _ in range(20)]
        for visitor in visitors:
            visitor.start()
        news = page.wait_for_storage(available=False, seconds=15)
        assert "cannot be reached" in news["reason"]
        assert abs(news["since"] - time.time()) < 15
        _refused_at_once(page, "cannot be reached")
        for visitor in visitors:
            visitor.join()
        assert {answer.status_code for answer in answers} == {503}
        assert "cannot be reached" in answers[0].text
        assert max(lasted) < TIMEOUT + FAST
        lasted.clear()
        for _ in range(8):
            ask()
        assert max(lasted) < FAST
        assert requests.get(f"{server.url}/healthz", timeout=FAST).ok
        proxy.heal(forget=True)
        assert page.wait_for_end(run)["status"] == "succeeded"
        assert page.text(run) == numbers(1500)
        assert page.gaps == []
        assert server.output(person, run) == numbers(1500).encode()
        _well_again(page)
        page.close()


def test_a_frozen_store_is_detected_and_stop_works(
    valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path
) -> None:
    """The store stands still with open connections: detected within 15 s, Stop reaches the job, then all is stored."""
    with running_server(tmp_path / "log", **store_settings) as server:
        page = server.page(server.log_in())
        run = page.start("heartbeat", file=str(tmp_path / "beats"))
        page.wait_for_text(run, "beat 5\n")
        valkey.freeze()
        try:
            page.wait_for_storage(available=False, seconds=15)
            _refused_at_once(page, "cannot be reached")
            seconds, answer = took(lambda: page.call("stop_request", {"run": run}))
            assert answer["run"]["status"] == "stopping"
            assert seconds < 2 * TIMEOUT
            beats = _no_more(tmp_path / "beats")
        finally:
            valkey.thaw()
        assert page.wait_for_end(run)["status"] == "stopped"
        assert page.text(run) == beats
        assert page.gaps == []
        _well_again(page)
        page.close()


def _flood_until_unwell(page: Page) -> tuple[str, dict[str, Any]]:
    run = page.start("lines", count=2_000_000, width=100)
    return run, page.wait_for_storage(available=False, seconds=60)


def test_a_full_store_keeps_what_it_has_and_stops_runs(
    valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path
) -> None:
    """At maxmemory: pages and sockets live, Start is refused with the reason, Stop ends the run, nothing is lost."""
    with running_server(tmp_path / "log", **store_settings) as server, valkey.client() as client:
        person = server.log_in()
        page = server.page(person)
        client.config_set("maxmemory", "3mb")
        run, news = _flood_until_unwell(page)
        assert "full" in news["reason"]
        _refused_at_once(page, "full")
        for path in ("", "/jobs/lines", f"/runs/{run}"):
            shown = person.get(f"{server.url}{path}", timeout=10)
            assert shown.status_code == 200
            assert "The storage is full: nothing can be stored now." in shown.text
        other = server.page(person)
        other.watch(run)
        assert "full" in other.wait_for_storage(available=False)["reason"]
        other.wait_for_text(run, f"{99:0100d}\n")
        seconds, answer = took(lambda: page.call("stop_request", {"run": run}))
        assert answer["ok"], answer
        assert seconds < FAST
        ended = page.wait_for_end(run, 15)
        assert ended["status"] == "stopped"
        stored = server.output(person, run).decode()
        assert len(stored) == ended["position"]
        assert stored == numbers(stored.count("\n"), 100)
        assert page.text(run) == stored
        assert page.gaps == []
        client.config_set("maxmemory", 0)
        _well_again(page)
        page.close()
        other.close()


def test_a_run_that_waits_in_a_full_store_goes_on_when_there_is_room(
    valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path
) -> None:
    """The job is held by its pipe while the store is full, and loses no byte."""
    with running_server(tmp_path / "log", **store_settings) as server, valkey.client() as client:
        person = server.log_in()
        page = server.page(person)
        client.config_set("maxmemory", "3mb")
        run = page.start("lines", count=120_000, width=100)
        page.wait_for_storage(available=False, seconds=60)
        time.sleep(1)
        assert page.statuses.get(run, {}).get("ended") is None
        client.config_set("maxmemory", 0)
        assert page.wait_for_end(run)["status"] == "succeeded"
        assert page.text(run) == numbers(120_000, 100)
        page.close()


def test_a_full_disk_is_no_silent_success(valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path) -> None:
    """The store cannot write to its disk: said in words, Start refused, and the run goes on after."""
    with running_server(tmp_path / "log", **store_settings) as server:
        person = server.log_in()
        page = server.page(person)
        run = page.start("lines", count=800, pause=0.01)
        page.wait_for_text(run, "20\n")
        valkey.fill_disk()
        news = page.wait_for_storage(available=False, seconds=15)
        assert "disk" in news["reason"]
        _refused_at_once(page, "disk")
        time.sleep(1)
        assert page.statuses.get(run, {}).get("ended") is None
        valkey.free_disk()
        assert page.wait_for_end(run)["status"] == "succeeded"
        assert page.text(run) == numbers(800)
        assert server.output(person, run) == numbers(800).encode()
        _well_again(page)
        page.close()


def test_stop_works_while_the_disk_is_full(valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path) -> None:
    """Nothing can be written, not even that a run is to stop: its job hears of it at once, and its end comes later."""
    with running_server(tmp_path / "log", **store_settings) as server:
        page = server.page(server.log_in())
        run = page.start("heartbeat", file=str(tmp_path / "beats"))
        page.wait_for_text(run, "beat 5\n")
        valkey.fill_disk()
        assert "disk" in page.wait_for_storage(available=False, seconds=15)["reason"]
        _refused_at_once(page, "disk")
        seconds, answer = took(lambda: page.call("stop_request", {"run": run}))
        assert answer["run"]["status"] == "stopping"
        assert seconds < FAST
        beats = _no_more(tmp_path / "beats")
        assert page.statuses.get(run, {}).get("ended") is None
        valkey.free_disk()
        assert page.wait_for_end(run)["status"] == "stopped"
        assert page.text(run) == beats
        assert page.gaps == []
        _well_again(page)
        page.close()


def test_a_page_that_comes_while_the_store_is_away_is_told(
    valkey: Valkey, store_settings: dict[str, Any], tmp_path: Path
) -> None:
    """A new page is refused with the reason; one whose connection was open is told, and again that it is well."""
    with running_server(tmp_path / "log", **store_settings) as server:
        person = server.log_in()
        page = server.page(person)
        valkey.kill()
        page.wait_for_storage(available=False)
        answer = person.get(server.url, timeout=10)
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text
        with pytest.raises(Exception, match=r"store_unavailable.*cannot be reached"):
            server.page(person)
        valkey.start()
        _well_again(page)
        page.close()
