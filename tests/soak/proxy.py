"""A TCP proxy with the faults of a network: cut, deaf in one direction, slow."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

CHUNK = 65_536


class Faulty:
    """Passes on from `port`, for ever, to a target port as long as it is whole.

    `cut` ends all connections and refuses new ones; `drop_answers` takes requests and swallows what comes back;
    `stall` holds everything back, with connections open. `heal` ends each of them.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.refusing = self.swallowing = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *, refuse: bool = True) -> None:
        """End everything, and let nobody in where `refuse`."""
        self.refusing = refuse
        with self._lock:
            opened = list(self._open)
        for each in opened:
            _end(each)

    def drop_answers(self) -> None:
        """Requests arrive; nobody hears of it."""
        self.swallowing = True

    def stall(self) -> None:
        """Nothing comes through, and nobody is told."""
        self._flowing.clear()

    def heal(self) -> None:
        """All is well; connections that lost something end, so that nobody waits for it."""
        lossy = self.swallowing
        self.refusing = self.swallowing = False
        self._flowing.set()
        if lossy:
            self.cut(refuse=False)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                if self.refusing:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                if not (answers and self.swallowing):
                    sink.sendall(data)
        for each in (source, sink):
            _end(each)
        with self._lock:
            self._open.discard(source)
        # Not at once: the other direction may be about to use it.
        time.sleep(0.05)
        source.close()


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
