"""The pipe processor: takes what runs print from their pipes, in the hub, and sees it stored until the end."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from app.capture.bell import Bell
from app.capture.relay import Relay
from app.model import Stream
from app.stack import Stack

logger = logging.getLogger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound="Source[Any]")
Pieces = list[tuple[Stream, bytes]]
TAKE_BYTES = 524_288
# With other runs beside it: what one of them prints in silence waits for no more than this.
SHARED_BYTES = 131_072
FLOOD_BYTES = 65_536
FLOOD_SECONDS = 0.002
AGAIN_SECONDS = 1.0


class Tap(Protocol):
    """What output comes out of, such as a Pipe."""

    @property
    def ended(self) -> bool:
        """Nothing comes any more: known by a `take` that brought nothing."""

    def take(self, limit: int) -> Pieces:
        """What is there, about `limit` bytes at most."""

    def leave(self) -> bool:
        """What comes next rings the bell; False where there is something already, or the end."""

    def close(self) -> None:
        """Nothing more is taken."""


class Rings(Protocol):
    """What tells where there is something to take, such as a Bell."""

    def ring(self, pipe: Any) -> None:
        """There is something in `pipe`, or its end."""

    def wait(self, stack: Stack) -> Sequence[Any]:
        """Wait until there is something; the pipes that have it."""


class Source(Protocol[T]):
    """A run, as far as its output goes."""

    @property
    def pipe(self) -> Tap:
        """Where it comes from."""

    def prepare(self, pieces: Pieces) -> T:
        """What is to be stored of these pieces; never waits."""

    def store(self, prepared: T) -> object:
        """Store it; comes back when it is stored."""

    def end(self, error: Exception | None) -> object:
        """Nothing more will come; with an error, because that was raised. Never waits."""


class PipeProcessor(Generic[S, T]):
    """One for all runs: what several of them print at a time is stored together, and a flood by itself.

    `store_all` stores little pieces of several sources, and answers for each whether it has: one that it could not
    store, or would have to wait for, is stored by the source itself, beside the others; one with an error ends by it.
    The sources' pipes ring `bell`.
    """

    def __init__(
        self,
        stack: Stack,
        store_all: Callable[[list[tuple[S, T]]], Sequence[bool | Exception]],
        bell: Rings | None = None,
    ) -> None:
        self._stack, self._store_all = stack, store_all
        self.bell: Any = bell or Bell()
        self._sources: dict[Tap, S] = {}
        # Those that somebody else takes from at the moment.
        self._busy: set[Tap] = set()
        self._working = False
        # Runs that begin come from threads of their own.
        self._lock = threading.Lock()

    def add(self, source: S) -> None:
        """Process a source, whose pipe rings this bell, until its pipe is closed and empty."""
        self._sources[source.pipe] = source
        with self._lock:
            works, self._working = self._working, True
        if not works:
            self._stack.spawn(self._work)
        # A ring that came before, when the source was not known yet, went by.
        self.bell.ring(source.pipe)

    def _work(self) -> None:
        while True:
            try:
                self._round()
            except Exception:
                # Without it no output of any run would be taken any more.
                logger.exception("what runs print could not be taken, and is again")
                self._stack.sleep(AGAIN_SECONDS)
                for pipe in set(self._sources) - self._busy:
                    self.bell.ring(pipe)
            # Whoever puts it on the wire goes before what comes next.
            self._stack.sleep(0)

    def _round(self) -> None:
        batch = []
        # Each once: its end must not go before what is in this batch.
        for pipe in dict.fromkeys(self.bell.wait(self._stack)):
            source = self._sources.get(pipe)
            if source is not None and pipe not in self._busy:
                try:
                    prepared = self._take(source)
                except Exception as error:  # noqa: BLE001 - it ends this source, and no other
                    self._beside(source, functools.partial(_fail, error))
                else:
                    batch += [(source, prepared)] if prepared is not None else []
        if batch:
            self._store(batch)

    def _take(self, source: S) -> T | None:
        """What a source has to store together with others; None where there is nothing, or too much for that."""
        pipe = source.pipe
        pieces = pipe.take(SHARED_BYTES)
        if not pieces:
            if pipe.ended:
                del self._sources[pipe]
                source.end(None)
            else:
                self._leave(pipe)
        elif size_of(pieces) > FLOOD_BYTES:
            self._beside(source, lambda: self._flood(source, pieces))
        else:
            prepared: T = source.prepare(pieces)
            return prepared
        return None

    def _store(self, batch: list[tuple[S, T]]) -> None:
        all_done: Sequence[bool | Exception]
        try:
            all_done = self._store_all(batch)
        except Exception as error:  # noqa: BLE001 - it ends these sources, and no other
            all_done = [error] * len(batch)
        for (source, prepared), done in zip(batch, all_done, strict=True):
            if isinstance(done, Exception):
                self._beside(source, functools.partial(_fail, done))
            elif done:
                self._leave(source.pipe)
            else:
                self._beside(source, functools.partial(source.store, prepared))

    def _leave(self, pipe: Tap) -> None:
        if not pipe.leave():
            self.bell.ring(pipe)

    def _beside(self, source: S, work: Callable[[], object]) -> None:
        """Have `work` done by other hub code, for which the source is busy."""
        self._busy.add(source.pipe)
        self._stack.spawn(self._alone, source, work)

    def _alone(self, source: S, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it ends this source, and no other
            self._sources.pop(source.pipe, None)
            source.pipe.close()
            self._busy.discard(source.pipe)
            source.end(error)
        else:
            # From here on somebody else may take from it, to its end: who takes next leaves it.
            self._busy.discard(source.pipe)
            self.bell.ring(source.pipe)

    def _flood(self, source: S, pieces: Pieces) -> None:
        """Store what comes until there is silence.

        A run takes larger pieces while it is the only one, which is faster, and smaller ones beside others. After much
        output it lets others run and more come together; a piece is prepared while the one before is on its way.
        """
        pipe, relay = source.pipe, Relay(source.store, self._stack)
        while pieces:
            limit, size = TAKE_BYTES if len(self._sources) == 1 else SHARED_BYTES, size_of(pieces)
            prepared = source.prepare(pieces)
            if size > FLOOD_BYTES:
                relay.hand_over(prepared)
                self._stack.sleep(0 if size >= limit / 2 else FLOOD_SECONDS)
            else:
                relay.finish()
                source.store(prepared)
            pieces = pipe.take(limit)
        relay.finish()


def size_of(pieces: Pieces) -> int:
    """Their bytes together."""
    return sum(len(data) for _, data in pieces)


def _fail(error: Exception) -> None:
    raise error
