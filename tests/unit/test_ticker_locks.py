"""The ticker's locks: who is found gone as it is sent to, is forgotten in that very moment."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

from app.model import User
from app.sockets import Socket
from app.stack import ThreadingStack
from app.ticker import Ticker


def test_a_page_that_is_found_gone_as_it_is_greeted_is_forgotten(monkeypatch: Any) -> None:
    """To send finds that a client is late with its answer, and ends it: within the same call, which must come back."""
    handlers: dict[str, Any] = {}
    socket = Socket("sid", "/test", "address", "session", User("ann", "Ann", ""))
    left: list[str] = []
    server = SimpleNamespace(on=lambda name, handler, **_: handlers.__setitem__(name, handler))

    def emit(*_message: Any, to: str, **_: Any) -> None:
        handlers["disconnect"](to, "ping timeout")

    socketio = SimpleNamespace(on_event=lambda *_, **__: None, server=server, emit=emit)
    sockets = SimpleNamespace(enter=lambda: socket, leave=left.append, knows=lambda sid: sid not in left)
    wire = SimpleNamespace(is_greeted=lambda *_: True, has_room=lambda *_: True, send=lambda *_: None)
    ticker = Ticker(cast("Any", socketio), cast("Any", sockets), ThreadingStack(), cast("Any", wire))
    monkeypatch.setattr(ThreadingStack, "spawn", lambda *_: None)
    ticker._connect()
    greeting = threading.Thread(target=ticker._greet, args=("sid",), daemon=True)
    greeting.start()
    greeting.join(10)
    assert not greeting.is_alive()
    assert left == ["sid"]


def test_a_page_that_goes_as_it_comes_is_not_told_of_the_time() -> None:
    """Its end is handled before it is one of the audience: it must not stay there, or the task never ends."""
    socket = Socket("sid", "/test", "address", "session", User("ann", "Ann", ""))
    server = SimpleNamespace(on=lambda *_, **__: None)
    socketio = SimpleNamespace(on_event=lambda *_, **__: None, server=server, emit=lambda *_, **__: None)
    sockets = SimpleNamespace(enter=lambda: socket, leave=lambda _: None, knows=lambda _: False)
    wire = SimpleNamespace(is_greeted=lambda *_: True, has_room=lambda *_: True, send=lambda *_: None)
    ticker = Ticker(cast("Any", socketio), cast("Any", sockets), ThreadingStack(), cast("Any", wire))
    ticker._connect()
    assert not ticker._audience
    assert not ticker._counts
