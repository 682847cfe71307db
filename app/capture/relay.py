"""The relay: stores a piece of a flood while the next one is prepared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from app.stack import Stack

T = TypeVar("T")


class Relay(Generic[T]):
    """Stores one piece beside its caller, in order; at most one more waits."""

    def __init__(self, store: Callable[[T], object], stack: Stack) -> None:
        self._store, self._stack = store, stack
        self._lock, self._moved = stack.lock(), stack.signal()
        self._next: list[T] = []
        self._working = False
        self._error: Exception | None = None

    def hand_over(self, piece: T) -> None:
        """Have a piece stored; comes back as soon as no other one waits before it.

        Raises: what storing an earlier one raised.
        """
        self._wait_until(lambda: not self._next)
        with self._lock:
            self._next.append(piece)
            spawns, self._working = not self._working, True
        if spawns:
            self._stack.spawn(self._work)

    def finish(self) -> None:
        """Come back when everything is stored.

        Raises: as hand_over.
        """
        self._wait_until(lambda: not self._working)

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._moved.wait(1.0)
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._next or self._error is not None:
                    self._next.clear()
                    self._working = False
                    break
                piece = self._next.pop()
            self._moved.set()
            try:
                self._store(piece)
            except Exception as error:  # noqa: BLE001 - it belongs to whoever hands over
                self._error = error
        self._moved.set()
