"""A TCP proxy with the faults of a network: cut, deaf in one direction, silent, losing answers."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

CHUNK = 65_536


class Proxy:
    """Passes on from `port`, for ever, to a port of this machine or a Unix socket.

    `cut` ends all connections and refuses new ones; `hold` lets nothing through, and nobody is told; `drop_answers`
    takes requests and swallows what comes back; `heal` ends each of them. With `drop_every` each answer with such a
    number is lost: the other end has done what was asked, and the connection ends before that; `dropped` counts them.
    """

    def __init__(self, target: int | str) -> None:
        self.drop_every = self.dropped = 0
        self._target = target
        self._refusing = self._swallowing = False
        self._answers = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def redis_url(self) -> str:
        """The address for REDIS_URL, where a store is behind it."""
        return f"redis://127.0.0.1:{self.port}"

    def cut(self, *, refuse: bool = True) -> None:
        """End everything, and let nobody in where `refuse`."""
        self._refusing = refuse
        with self._lock:
            opened = list(self._open)
        for each in opened:
            _end(each)

    def hold(self) -> None:
        """Nothing passes; connections stay open and new ones are taken."""
        self._flowing.clear()

    def drop_answers(self) -> None:
        """Requests arrive; nobody hears of it."""
        self._swallowing = True

    def heal(self, *, forget: bool = False) -> None:
        """All is well; what was held passes, unless `forget`: as where a network has lost its state.

        Connections that lost something end, so that nobody waits for it.
        """
        lossy = self._swallowing or forget
        self._refusing = self._swallowing = False
        if lossy:
            self.cut(refuse=False)
        self._flowing.set()

    def close(self) -> None:
        """End."""
        # shutdown wakes the thread that waits in accept, which close alone does not.
        _end(self._listener)
        self._listener.close()
        self.heal(forget=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            with self._lock:
                # Under the lock: who comes as `cut` is at work does not slip through.
                refused = self._refusing
                self._open |= set() if refused else {client, server}
            if refused:
                client.close()
                server.close()
                continue
            asked = threading.Event()
            threading.Thread(target=self._pass_on, args=(client, server, asked, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, asked, True), daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._target, int):
            connected = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            connected.settimeout(None)
        else:
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(self._target)
        return connected

    def _pass_on(self, source: socket.socket, sink: socket.socket, asked: threading.Event, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                if not answers:
                    asked.set()
                elif asked.is_set():
                    # An answer may come in pieces, and counts once.
                    asked.clear()
                    if self._loses():
                        break
                if not (answers and self._swallowing):
                    sink.sendall(data)
        for each in (source, sink):
            _end(each)
        with self._lock:
            self._open.discard(source)
        # Not at once: the other direction may be about to use it.
        time.sleep(0.05)
        source.close()

    def _loses(self) -> bool:
        with self._lock:
            self._answers += 1
            if not self.drop_every or self._answers % self.drop_every:
                return False
            self.dropped += 1
            return True


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
