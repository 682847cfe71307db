"""The pipe processor: takes a run's output from its pipe, in the hub, and sees it prepared and stored until the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from app.capture.pipe import Pipe
from app.model import Stream
from app.stack import Stack

T = TypeVar("T")
Pieces = list[tuple[Stream, bytes]]
TAKE_BYTES = 524_288
# With other runs beside it: what one of them prints in silence waits for no more than this.
SHARED_BYTES = 131_072
FLOOD_BYTES = 65_536
FLOOD_SECONDS = 0.002


def pipe_processor(
    pipe: Pipe,
    prepare: Callable[[Pieces], T],
    store: Callable[[T], object],
    stack: Stack,
    alone: Callable[[], bool] = lambda: True,
) -> None:
    """Have everything that comes out of `pipe` prepared and stored, until it is closed and empty.

    It takes larger pieces while the run is `alone` in the process, which is faster, and smaller ones beside others.
    After much output it lets others run and more come together; after little it waits for the doorbell, so that a line
    after silence is stored at once. In a flood a piece is prepared while the one before is on its way to the store.
    """
    relay = Relay(store, stack)
    while True:
        limit = TAKE_BYTES if alone() else SHARED_BYTES
        pieces = pipe.take(limit)
        if pieces:
            if pipe.waiting > limit:
                relay.hand_over(prepare(pieces))
                stack.sleep(0)
                continue
            relay.finish()
            store(prepare(pieces))
            if pipe.waiting or sum(len(data) for _, data in pieces) > FLOOD_BYTES:
                stack.sleep(0 if pipe.waiting > limit else FLOOD_SECONDS)
        elif pipe.closed:
            relay.finish()
            pipe.dispose()
            return
        else:
            pipe.wait(stack)


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
