"""Runs a function as a run's thread would, without a store, and gives what its output was."""

from __future__ import annotations

import threading
from collections.abc import Callable

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
    processor: PipeProcessor[_Run, Pieces] = PipeProcessor(ThreadingStack(), _store_all)
    runs = [_Run(Pipe(limit, processor.bell), store) for _ in functions]
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


class _Run:
    """A source that keeps its pieces."""

    def __init__(self, pipe: Pipe, store: Callable[[Pieces], object] | None) -> None:
        self.pipe, self.pieces = pipe, Pieces()
        self.store = store or self.pieces.extend
        self.ended = threading.Event()

    def prepare(self, pieces: Pieces) -> Pieces:
        return pieces

    def end(self, error: Exception | None) -> None:
        assert error is None
        self.ended.set()


def _store_all(batch: list[tuple[_Run, Pieces]]) -> list[bool]:
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
