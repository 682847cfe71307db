"""Watching channels: each change once, over all connections, until somebody has enough."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from app.client.inbox import Inbox
from app.client.reader import CUT, Over, Say, lines_of
from app.client.screen import ERR, OUT, Gone, Screen
from app.client.server import BEAT_SECONDS, Server, decoded

BROKEN = select.POLLERR | select.POLLNVAL


def watch(server: Server, names: Sequence[str], screen: Screen) -> Iterator[dict[str, Any]]:
    """What these channels hold, each change, and where some were missed: records as the API has them; without an end.

    Raises: Failure; Gone where nobody reads the output any more.
    """
    inbox = Inbox()
    heir = server.heir(lambda text: inbox.put(Say(text)), inbox.closed.wait)
    threading.Thread(target=_read, args=(heir, list(names), inbox), daemon=True).start()
    poll = select.poll()
    poll.register(inbox.wake, select.POLLIN)
    for fd in (OUT, ERR):
        poll.register(fd, 0)
    try:
        while True:
            inbox.settle()
            while (item := inbox.take()) is not None:
                if isinstance(item, Over):
                    raise item.failure or RuntimeError("a stream of channels has no end")
                if isinstance(item, Say):
                    screen.say(item.text)
                else:
                    yield item
            if any(event & BROKEN for _, event in poll.poll()):
                raise Gone
    finally:
        inbox.close()


def _read(server: Server, names: list[str], inbox: Inbox) -> None:
    try:
        last: int | None = None
        while not inbox.closed.is_set():
            last = _one_answer(server, names, last, inbox)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the main thread tells it
        inbox.put(Over(error))


def _one_answer(server: Server, names: list[str], last: int | None, inbox: Inbox) -> int | None:
    """Take one answer, from behind the change `last`; the last change after it."""
    query = {"channel": names, "heartbeat": BEAT_SECONDS, **({} if last is None else {"after": last})}
    answer = server.stream("/stream.ndjson", query, {"Accept-Encoding": "identity"})
    if answer is None:
        return last
    came, began = False, time.monotonic()
    try:
        for line in lines_of(answer):
            record, came = decoded(line), True
            sequence = record.get("sequence")
            # A snapshot is what holds now, also where the storage has lost its newest changes and counts them anew.
            new = record["type"] == "snapshot" or sequence is None or last is None or sequence > last
            if record["type"] != "silence" and new:
                last = last if sequence is None else sequence
                inbox.put(record)
    except CUT:
        pass
    finally:
        answer.close()
    if came:
        server.patience.fruitful()
    else:
        server.patience.fruitless(time.monotonic() - began)
    return last
