"""News of runs: the newest values come to the store, also where it was away as they were told."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

from app.errors import StoreUnavailable
from app.store.runs import Runs
from app.supervise import news as module
from app.supervise.news import News
from tests.waiting import wait_until


class Away:
    """A store that is away at first; `told` is what it has then."""

    def __init__(self) -> None:
        self.asked, self.back = threading.Event(), threading.Event()
        self.told: dict[str, dict[str, Any]] = {}

    def change(self, run_id: str, _allowed: object, **values: Any) -> bool:
        """As Runs.change."""
        self.asked.set()
        if not self.back.is_set():
            raise StoreUnavailable
        self.told.setdefault(run_id, {}).update(values)
        return True


def test_a_question_waits_for_the_store() -> None:
    """A job asks for a line once: that is told when the store is back, with what is newer of it and of others."""
    store = Away()
    news = News(cast("Runs", store))
    news.tell("a", asks=["Name?"], progress=(1.0, 2.0))
    assert store.asked.wait(20)
    news.tell("a", progress=(2.0, 2.0))
    news.tell("b", asks=["Age?"])
    store.back.set()
    wait_until(lambda: len(store.told) == 2)
    assert store.told == {"a": {"asks": ["Name?"], "progress": (2.0, 2.0)}, "b": {"asks": ["Age?"]}}


def test_a_run_that_ends_takes_its_news_back() -> None:
    """What could not be told goes with the run's end, and is not told after it."""
    store = Away()
    news = News(cast("Runs", store))
    news.tell("a", progress=(1.0, 2.0))
    assert store.asked.wait(20)
    assert news.take_back("a") == {"progress": (1.0, 2.0)}
    store.back.set()
    news.tell("b", progress=(1.0, 1.0))
    wait_until(lambda: "b" in store.told, seconds=module.RETRY_SECONDS + 20)
    assert "a" not in store.told


def test_a_full_store_holds_up_nobody_but_those_that_it_refuses() -> None:
    """What it takes goes in at once, however many others wait until there is room."""

    class Full(Away):
        def change(self, run_id: str, _allowed: object, **values: Any) -> bool:
            if "status" not in values:
                self.asked.set()
                raise StoreUnavailable
            self.back.set()
            return super().change(run_id, _allowed, **values)

    store = Full()
    news = News(cast("Runs", store))
    for number in range(100):
        news.tell(str(number), progress=(1.0, 2.0))
    assert store.asked.wait(20)
    began = time.monotonic()
    news.tell("50", status="stopping")
    wait_until(lambda: store.told)
    assert store.told == {"50": {"progress": (1.0, 2.0), "status": "stopping"}}
    # Each of the others would take half a second.
    assert time.monotonic() - began < 20


def test_what_failed_once_is_told_though_others_go_on_talking() -> None:
    """A question waits half a second, not until all other jobs are silent."""
    failed = threading.Event()

    class Hiccup(Away):
        def change(self, run_id: str, _allowed: object, **values: Any) -> bool:
            if run_id == "asks" and not failed.is_set():
                failed.set()
                raise StoreUnavailable
            self.back.set()
            return super().change(run_id, _allowed, **values)

    store = Hiccup()
    news = News(cast("Runs", store))
    news.tell("asks", asks=["Name?"])
    assert failed.wait(20)
    deadline = time.monotonic() + 20
    while "asks" not in store.told:
        assert time.monotonic() < deadline
        news.tell("talks", progress=(1.0, 2.0))
        time.sleep(0.01)
