"""The runs of the soak: started, watched by viewers who misbehave, stopped or not, and then held against the oracle."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import websocket

from app.model import new_id
from tests.oracle import difference
from tests.soak.world import Node, World
from tests.socket_client import ConnectionRefused, SocketClient
from tests.watcher import Watcher

KINDS = ("lines", "quiet", "flood", "wide", "threads", "binary")
# Faults last, and a lost run is called so only after its lease: more than all of it together.
PATIENCE_SECONDS = 180.0
NOBODY = (OSError, websocket.WebSocketException, ConnectionRefused, AssertionError, KeyError)


@dataclass
class Case:
    """One run: what was asked for, who watches, and what is known of its end."""

    kind: str
    seconds: float
    file: Path
    begun: float
    run: str = ""
    tried: list[tuple[Node, int]] = field(default_factory=list)
    stop_asked: bool = False
    watchers: list[Watcher] = field(default_factory=list)

    def __str__(self) -> str:
        """For people."""
        return f"run {self.run} ({self.kind}, {self.seconds:.0f} s, begun at {self.begun:.1f})"


class Visitor:
    """Somebody who starts runs one after the other and holds each against the oracle."""

    def __init__(self, world: World, person: requests.Session, seed: int) -> None:
        self._world, self._person = world, person
        self._chance = random.Random(seed)
        self._cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)

    def work(self) -> None:
        """Until all is over."""
        while not self._world.over.is_set():
            case = self._new_case()
            try:
                if self._start(case):
                    self._live(case)
                    self._judge(case)
            except Exception as error:  # noqa: BLE001 - whatever it is, the soak has found something
                self._world.find(f"{case}: {type(error).__name__}: {error}")
            finally:
                for each in case.watchers:
                    each.close()

    def _new_case(self) -> Case:
        kind, seconds = self._chance.choice(KINDS), self._chance.choice((0.0, 0.3, 3.0, 8.0, 20.0))
        return Case(kind, seconds, self._world.folder / new_id(), self._world.now)

    def _call(self, node: Node, event: str, message: dict[str, Any]) -> dict[str, Any]:
        """Ask once, by a connection of its own; empty where nobody answers."""
        try:
            client = SocketClient(node.url, self._cookies, lambda *_: None)
            try:
                answer: dict[str, Any] = client.call(event, message, timeout=12)
                return answer
            finally:
                client.cut()
        except NOBODY:
            return {}

    def _start(self, case: Case) -> bool:
        """Press Start until it is answered: however often, it is one run."""
        params = {
            "file": str(case.file),
            "kind": case.kind,
            "seconds": case.seconds,
            "seed": self._chance.randrange(1 << 30),
            "last_words": self._chance.choice((0, 0, 20)),
        }
        message = {"job": "witness", "params": params, "key": new_id(), "ack": True}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            node = self._chance.choice(self._world.nodes)
            # One that is about to end may still take a run on, and ends it.
            case.tried.append((node, node.harms - node.ending))
            answer = self._call(node, "start_request", message)
            if answer.get("ok"):
                case.run = answer["run"]["id"]
                self._world.count("runs")
                return True
            if answer:
                self._world.count(f"Start refused: {answer['error']['code']}")
            time.sleep(0.5)
        self._world.find(f"{case} could not be started for {PATIENCE_SECONDS:.0f} s")
        return False

    def _live(self, case: Case) -> None:
        """Watch it to its end, each viewer in its own way."""
        for _ in range(self._chance.randrange(1, 4)):
            self._watch(case)
        began = time.monotonic()
        stop_at = self._chance.uniform(0, case.seconds) if self._chance.random() < 0.4 else None
        while not all(each.final for each in case.watchers):
            lasted = time.monotonic() - began
            if stop_at is not None and lasted > stop_at:
                case.stop_asked = True
                node = self._chance.choice(self._world.nodes)
                stop_at = None if self._call(node, "stop_request", {"run": case.run}).get("ok") else lasted + 1.0
            if lasted < case.seconds:
                self._chance.choice(ANTICS)(self, case)
            else:
                for each in case.watchers:
                    each.awake.set()
            assert lasted < case.seconds + PATIENCE_SECONDS, f"no final status came: {case.watchers}"
            time.sleep(self._chance.uniform(0.05, 0.5))

    def _watch(self, case: Case) -> None:
        urls = [node.url for node in self._world.nodes]
        self._chance.shuffle(urls)
        case.watchers.append(Watcher(urls, self._person, case.run))

    def _one_more(self, case: Case) -> None:
        if len(case.watchers) < 6:
            self._watch(case)

    def _one_less(self, case: Case) -> None:
        if len(case.watchers) > 1:
            leaving = case.watchers.pop(0)
            leaving.close()
            self._check(case, leaving.wrong == [], f"a viewer that left: {leaving.wrong}")

    def _cut(self, case: Case) -> None:
        self._chance.choice(case.watchers).cut()

    def _reload(self, case: Case) -> None:
        watcher = self._chance.choice(case.watchers)
        with watcher.changed:
            ends = [0, *(piece[1] for piece in watcher.pieces[-50:])]
            if watcher.final is None:
                watcher.reload(self._chance.choice(ends))

    def _sleep(self, case: Case) -> None:
        self._chance.choice(case.watchers).sleep()

    def _wake(self, case: Case) -> None:
        for each in case.watchers:
            each.awake.set()

    def _nothing(self, case: Case) -> None:
        """Most of the time all are as they are."""

    def _judge(self, case: Case) -> None:
        """Hold it against the oracle."""
        finals = [each.wait_for_end(20) for each in case.watchers]
        status = finals[0]["status"]
        self._world.count(status)
        self._check(case, len({(each["status"], each["ended"]) for each in finals}) == 1, f"several ends: {finals}")
        self._check_status(case, status, finals[0]["message"])
        stored = self._download(case)
        written = case.file.read_bytes() if case.file.exists() else b""
        time.sleep(1.0)
        if status == "lost":
            self._check(case, written.startswith(stored), f"stored: {difference(stored, written)}")
        else:
            self._check(case, stored == written, f"stored: {difference(stored, written)}")
            still = case.file.stat().st_size if case.file.exists() else 0
            self._check(case, still == len(written), "it goes on after its end")
        self._check(case, self._download(case) == stored, "output changes after the end")
        text = stored.decode("utf-8", "replace")
        for each in case.watchers:
            self._check(case, not each.wrong, f"a viewer: {each.wrong[:3]}")
            self._check(case, not each.omitted, f"a viewer was told of holes: {each.omitted}")
            self._check(case, each.text == text, f"a viewer: {difference(each.text.encode(), text.encode())}")
            self._world.count("viewers")
            self._world.count("connections", each.connections)
        self._world.count("bytes", len(stored))
        case.file.unlink(missing_ok=True)

    def _check_status(self, case: Case, status: str, message: str) -> None:
        hit = any(node.harms != harms for node, harms in case.tried)
        allowed = {"succeeded"} | ({"stopped"} if case.stop_asked or hit else set()) | ({"lost"} if hit else set())
        # A Start that the store cut short is a run that failed before it began.
        never_began = status == "failed" and not case.file.exists()
        self._check(case, status in allowed or never_began, f"{status}: {message}")

    def _download(self, case: Case) -> bytes:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            node = self._chance.choice(self._world.nodes)
            try:
                answer = self._person.get(f"{node.url}/runs/{case.run}/output", timeout=20)
                answer.raise_for_status()
            except requests.RequestException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return answer.content

    def _check(self, case: Case, right: bool, text: str) -> None:
        if not right:
            during = [what for begin, end, what in self._world.history if end >= case.begun]
            self._world.find(f"{case}: {text}; meanwhile: {'; '.join(during[-8:])}")


ANTICS: tuple[Callable[[Visitor, Case], None], ...] = (
    Visitor._one_more,
    Visitor._one_less,
    Visitor._cut,
    Visitor._reload,
    Visitor._sleep,
    Visitor._wake,
    Visitor._wake,
    *(Visitor._nothing,) * 5,
)
