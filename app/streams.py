"""Answers that go on and on: each ends at once when its client leaves, its login or token ends, or the server stops."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app import audit
from app.errors import RealtimeError, ServerFull, ServerStopping, TooMany
from app.stack import Stack

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 2.0
POLL_SECONDS = 0.01
# A client whose network is gone without a word is found after 15 + 3 * 5 s also where nothing is sent.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
# What gunicorn calls the client's connection.
CONNECTION = "gunicorn.socket"


@dataclass(eq=False)
class Stream:
    """An answer that goes on: whose it is, the login or token that it came by, and how to end it.

    With `ends` it does so by itself as the server stops, after its last words.
    """

    user: str
    holder: str
    close: Callable[[], object]
    ends: bool = False
    fd: int = -1


class Streams:
    """The streams of this node; a user has at most `most` of them.

    `has_room` tells whether the server can hold one more: its worker sets it, where each holds a thread.
    """

    def __init__(self, stack: Stack, most: int) -> None:
        self._stack, self._most = stack, most
        # One for all, so that no stream needs anybody who looks after its client.
        self._epoll = select.epoll()
        self._by_fd: dict[int, Stream] = {}
        self._streams: set[Stream] = set()
        self._open: Counter[str] = Counter()
        self._guard = stack.lock()
        self.has_room: Callable[[], bool] = lambda: True
        self._watching = self._closing = False

    def __len__(self) -> int:
        return len(self._streams)

    def enter(
        self, user: str, holder: str, close: Callable[[], object], environ: Mapping[str, Any], *, ends: bool = False
    ) -> Callable[[], None]:
        """Have `close` called as soon as the stream is of no more use; a call of the answer says that it has ended.

        Raises: TooMany, ServerFull, ServerStopping.
        """
        stream = Stream(user, holder, close, ends)
        with self._guard:
            if self._closing:
                raise ServerStopping("The server is stopping. Please come again when it is back.")
            if not self.has_room():
                raise ServerFull("This server has as many streams as it can hold. Please come again in a while.")
            if self._open[user] >= self._most:
                audit.denied("too_many", user)
                raise TooMany(f"You have {self._most} streams open already: close some.")
            self._open[user] += 1
            self._streams.add(stream)
            begins, self._watching = not self._watching, True
        if begins:
            self._stack.spawn(self._watch)
        connection = environ.get(CONNECTION)
        if connection is not None:
            self._attend(stream, connection)

        def leave() -> None:
            self._leave(stream)

        return leave

    def _attend(self, stream: Stream, connection: Any) -> None:
        with contextlib.suppress(OSError, AttributeError):
            # Not by TCP where it is a Unix socket.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
        with self._guard:
            stream.fd = connection.fileno()
            self._by_fd[stream.fd] = stream
            # Bytes that the client sends, such as its next request, are no news here.
            self._epoll.register(stream.fd, select.EPOLLRDHUP | select.EPOLLONESHOT)

    def _leave(self, stream: Stream) -> None:
        with self._guard:
            if stream not in self._streams:
                return
            self._streams.discard(stream)
            self._open[stream.user] -= 1
            if not self._open[stream.user]:
                del self._open[stream.user]
            if self._by_fd.get(stream.fd) is stream:
                del self._by_fd[stream.fd]
                with contextlib.suppress(OSError):
                    self._epoll.unregister(stream.fd)

    def _watch(self) -> None:
        while True:
            self._stack.wait_readable(self._epoll.fileno())
            with self._guard:
                gone = [self._by_fd[fd] for fd, _ in self._epoll.poll(0) if fd in self._by_fd]
            for stream in gone:
                stream.close()
            self._stack.sleep(0)

    def end(self, holders: Collection[str]) -> None:
        """End all streams that came by these logins or tokens."""
        with self._guard:
            ended = [stream for stream in self._streams if stream.holder in holders]
        for stream in ended:
            stream.close()

    def close(self, deadline: float) -> None:
        """Begin no more, and end all; those that end by themselves, since their runs have ended, have until then."""
        self._closing = True
        self._end_all(waits=False)
        while any(stream.ends for stream in list(self._streams)) and time.monotonic() < deadline:
            self._stack.sleep(POLL_SECONDS)
        self._end_all(waits=True)

    def _end_all(self, *, waits: bool) -> None:
        with self._guard:
            ended = [stream for stream in self._streams if waits or not stream.ends]
        for stream in ended:
            stream.close()

    def sweep(self, alive: Callable[[set[str]], set[str]]) -> None:
        """For ever: end the streams whose login or token has ended elsewhere, or by time; `alive` tells which live."""
        while True:
            self._stack.sleep(SWEEP_SECONDS)
            with self._guard:
                holders = {stream.holder for stream in self._streams}
            try:
                self.end(holders - alive(holders) if holders else ())
            except RealtimeError:
                continue
            except Exception:
                logger.exception("the logins and tokens of open streams cannot be checked")
