"""Runs a function as a run's thread would, without a store, and gives what its output was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from app.capture import Capture, Pieces, Pipe, PipeProcessor, bind, install
from app.model import Stream
from app.stack import ThreadingStack


def capture(
    function: Callable[[], object], limit: int = 4_194_304, store: Callable[[Pieces], object] | None = None
) -> Pieces:
    """What `function` prints, as the pieces that the hub gets; or gives them to `store`."""
    return capture_all([function], limit, store)[0]


def capture_all(
    functions: list[Callable[[], object]], limit: int = 4_194_304, store: Callable[[Pieces], object] | None = None
) -> list[Pieces]:
    """The same for several runs at once."""
    install()
    processor: PipeProcessor[Source, Pieces] = PipeProcessor(ThreadingStack(), store_all)
    runs = [Source(processor, limit, store) for _ in functions]
    threads = []
    for function, run in zip(functions, runs, strict=True):
        threads.append(threading.Thread(target=_main, args=(function, Capture(run.pipe))))
        processor.add(run)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for run in runs:
        run.ended.wait(60)
    return [run.pieces for run in runs]


class Source:
    """A source of a processor that keeps its pieces, or gives them to `store`."""

    def __init__(
        self,
        processor: PipeProcessor[Any, Any],
        limit: int = 4_194_304,
        store: Callable[[Pieces], object] | None = None,
    ) -> None:
        self.pipe, self.pieces = Pipe(limit, processor.bell), Pieces()
        self.store = store or self.pieces.extend
        self.ended = threading.Event()

    def prepare(self, pieces: Pieces) -> Pieces:
        """As they are."""
        return pieces

    def end(self, error: Exception | None) -> None:
        """The run has ended."""
        assert error is None
        self.ended.set()


def store_all(batch: Sequence[tuple[Source, Pieces]]) -> list[bool]:
    """Store what several runs printed."""
    for run, pieces in batch:
        run.store(pieces)
    return [True] * len(batch)


def _main(function: Callable[[], object], run: Capture) -> None:
    bind(run)
    try:
        function()
    finally:
        run.wait_for_threads()
        run.close()
        bind(None)


def text(pieces: Pieces, stream: Stream | None = None) -> str:
    """The output of one stream, or of both as they came."""
    return b"".join(data for each, data in pieces if stream in (None, each)).decode()
