"""A TCP proxy between the server and its store, which loses what a network may lose."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.serving import free_port


class StoreProxy:
    """Passes on to a Unix socket; it can lose answers and hold everything back.

    Each answer number `drop_every` is lost: the store has done what was asked, and the connection ends before that.
    """

    def __init__(self, target: str) -> None:
        self.port = free_port()
        self.dropped = 0
        self._target = target
        self.drop_every = 0
        self._answers = 0
        self._flows = threading.Event()
        self._flows.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}"

    def hold(self) -> None:
        """Nothing passes; connections stay open and new ones are taken."""
        self._flows.clear()

    def release(self) -> None:
        """Everything passes again; connections that were open end, as they do where a network's state is lost."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._flows.set()

    def close(self) -> None:
        """End."""
        self._listener.close()
        self.release()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                store = socket.socket(socket.AF_UNIX)
                store.connect(self._target)
                with self._lock:
                    self._open |= {client, store}
                threading.Thread(target=self._pass_on, args=(client, store, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(store, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._flows.wait()
                if answers and self._loses():
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source}
        source.close()

    def _loses(self) -> bool:
        with self._lock:
            self._answers += 1
            if not self.drop_every or self._answers % self.drop_every:
                return False
            self.dropped += 1
            return True
