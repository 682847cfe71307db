"""The pipe processor: takes what runs print from their pipes, in the hub, and sees it stored until the end."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from app.capture.bell import Bell
from app.capture.pipe import Pipe
from app.capture.relay import Relay
from app.model import Stream
from app.stack import Stack

T = TypeVar("T")
S = TypeVar("S", bound="Source[Any]")
Pieces = list[tuple[Stream, bytes]]
TAKE_BYTES = 524_288
# With other runs beside it: what one of them prints in silence waits for no more than this.
SHARED_BYTES = 131_072
FLOOD_BYTES = 65_536
FLOOD_SECONDS = 0.002


class Source(Protocol[T]):
    """A run, as far as its output goes."""

    @property
    def pipe(self) -> Pipe:
        """Where it comes from."""

    def prepare(self, pieces: Pieces) -> T:
        """What is to be stored of these pieces; never waits."""

    def store(self, prepared: T) -> object:
        """Store it; comes back when it is stored."""

    def end(self, error: Exception | None) -> object:
        """Nothing more will come; with an error, because that was raised."""


class PipeProcessor(Generic[S, T]):
    """One for all runs: what several of them print at a time is stored together, and a flood by itself.

    `store_all` stores little pieces of several sources, and answers for each whether it has: one that it could not
    store, or would have to wait for, is stored by the source itself, beside the others.
    """

    def __init__(self, stack: Stack, store_all: Callable[[list[tuple[S, T]]], list[bool]]) -> None:
        self.bell = Bell()
        self._stack, self._store_all = stack, store_all
        self._sources: dict[Pipe, S] = {}
        # Those that somebody else takes from at the moment.
        self._busy: set[Pipe] = set()
        self._working = False

    def add(self, source: S) -> None:
        """Process a source, whose pipe rings this bell, until its pipe is closed and empty."""
        self._sources[source.pipe] = source
        if not self._working:
            self._working = True
            self._stack.spawn(self._work)

    def _work(self) -> None:
        while True:
            batch = []
            for pipe in self.bell.wait(self._stack):
                source = self._sources.get(pipe)
                if source is not None and pipe not in self._busy:
                    prepared = self._take(source)
                    if prepared is not None:
                        batch.append((source, prepared))
            if batch:
                self._store(batch)
            # Whoever puts it on the wire goes before what comes next.
            self._stack.sleep(0)

    def _take(self, source: S) -> T | None:
        """What a source has to store together with others; None where there is nothing, or too much for that."""
        pipe = source.pipe
        pieces = pipe.take(SHARED_BYTES)
        if not pieces:
            if pipe.closed:
                self._beside(source, lambda: self._sources.pop(pipe))
            else:
                self._leave(pipe)
        elif pipe.waiting or sum(len(data) for _, data in pieces) > FLOOD_BYTES:
            self._beside(source, lambda: self._flood(source, pieces))
        else:
            return self._prepare(source, pieces)
        return None

    def _prepare(self, source: S, pieces: Pieces) -> T | None:
        try:
            prepared: T = source.prepare(pieces)
        except Exception as error:  # noqa: BLE001 - it ends this source, and no other
            self._beside(source, functools.partial(_fail, error))
            return None
        return prepared

    def _store(self, batch: list[tuple[S, T]]) -> None:
        for (source, prepared), done in zip(batch, self._store_all(batch), strict=True):
            if done:
                self._leave(source.pipe)
            else:
                self._beside(source, functools.partial(source.store, prepared))

    def _leave(self, pipe: Pipe) -> None:
        if not pipe.leave():
            self.bell.ring(pipe)

    def _beside(self, source: S, work: Callable[[], object]) -> None:
        """Have `work` done by other hub code, for which the source is busy."""
        self._busy.add(source.pipe)
        self._stack.spawn(self._alone, source, work)

    def _alone(self, source: S, work: Callable[[], object]) -> None:
        error = None
        try:
            work()
        except Exception as raised:  # noqa: BLE001 - it ends this source, and no other
            error = raised
            self._sources.pop(source.pipe, None)
            source.pipe.close()
        self._busy.discard(source.pipe)
        if source.pipe in self._sources:
            self._leave(source.pipe)
        else:
            source.end(error)

    def _flood(self, source: S, pieces: Pieces) -> None:
        """Store what comes until there is silence.

        A run takes larger pieces while it is the only one, which is faster, and smaller ones beside others. After much
        output it lets others run and more come together; a piece is prepared while the one before is on its way.
        """
        pipe, relay = source.pipe, Relay(source.store, self._stack)
        while pieces:
            limit = TAKE_BYTES if len(self._sources) == 1 else SHARED_BYTES
            if pipe.waiting > limit:
                relay.hand_over(source.prepare(pieces))
                self._stack.sleep(0)
            else:
                relay.finish()
                source.store(source.prepare(pieces))
                if pipe.waiting or sum(len(data) for _, data in pieces) > FLOOD_BYTES:
                    self._stack.sleep(0 if pipe.waiting > limit else FLOOD_SECONDS)
            pieces = pipe.take(limit)
        relay.finish()


def _fail(error: Exception) -> None:
    raise error
