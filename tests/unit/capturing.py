"""Runs a function as a run's thread would, without a store, and gives what its output was."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.capture import Capture, Pipe, bind, install, pipe_processor
from app.model import Stream
from app.stack import ThreadingStack

Pieces = list[tuple[Stream, bytes]]


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
    results: list[Pieces] = []
    threads = []
    for function in functions:
        pipe = Pipe(limit)
        pieces: Pieces = []
        results.append(pieces)
        threads.append(threading.Thread(target=_main, args=(function, Capture(pipe))))
        processing = (pipe, list, store or pieces.extend, ThreadingStack())
        threads.append(threading.Thread(target=pipe_processor, args=processing))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


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
