"""Pages that watch the state of the system, and other namespaces than that of runs, as a client gets them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import requests

from tests.crowd import cookie_of
from tests.socket_client import SocketClient


class Listener:
    """A socket of somebody who is logged in, in one namespace; keeps each event with its message, in order."""

    def __init__(self, url: str, person: requests.Session, namespace: str = "/status", **options: Any) -> None:
        self.events: list[tuple[str, Any]] = []
        self.changed = threading.Condition()
        self.client = SocketClient(url, cookie_of(person), self._handle, namespace=namespace, **options)

    def _handle(self, event: str, message: Any) -> None:
        with self.changed:
            self.events.append((event, message))
            self.changed.notify_all()

    def of(self, event: str) -> list[Any]:
        """The messages of one kind so far."""
        return [message for name, message in list(self.events) if name == event]

    def wait(self, event: str, true: Callable[[Any], object] = lambda _message: True, *, seconds: float = 20) -> Any:
        """Wait until the newest message of this kind is such a one; it."""

        def found() -> bool:
            messages = self.of(event)
            return bool(messages) and bool(true(messages[-1]))

        with self.changed:
            assert self.changed.wait_for(found, seconds), (event, self.events[-3:])
        return self.of(event)[-1]

    def wait_count(self, event: str, count: int, *, seconds: float = 20) -> list[Any]:
        """Wait until so many messages of this kind have come; all of them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.of(event)) >= count, seconds), self.events[-3:]
        return self.of(event)

    def state(self, true: Callable[[Any], object] = lambda _message: True, *, seconds: float = 20) -> Any:
        """Wait until the newest state is such a one; it."""
        return self.wait("state", true, seconds=seconds)

    def numbers(self, **wanted: int) -> Any:
        """Wait until these of the system's numbers are so; all of them."""
        state = self.state(
            lambda state: state["numbers"] and wanted.items() <= state["numbers"].items(),
        )
        return state["numbers"]

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()


class Poller:
    """A page without a websocket, which fetches what waits for it when it is asked to."""

    def __init__(self, url: str, person: requests.Session, namespace: str = "/status") -> None:
        self._person, self._url = person, f"{url}/socket.io/?EIO=4&transport=polling"
        self._headers = {"Origin": url}
        opened = self.poll()[0]
        self._url += f"&sid={json.loads(opened[1:])['sid']}"
        self._person.post(self._url, data=f"40{namespace},", headers=self._headers, timeout=20)

    def poll(self) -> list[str]:
        """The packets that have come, or the next; heartbeats are answered."""
        answer = self._person.get(self._url, headers=self._headers, timeout=20)
        assert answer.ok, answer.text
        packets = answer.text.split("\x1e")
        if "2" in packets:
            self._person.post(self._url, data="3", headers=self._headers, timeout=20)
        return [packet for packet in packets if packet != "2"]
