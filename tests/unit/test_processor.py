"""The pipe processor when something goes wrong: one source ends, and what others print is taken as ever."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from app.capture import Pieces, PipeProcessor
from app.model import Stream
from app.stack import ThreadingStack
from tests.unit.capturing import Source, store_all, text


class Ending(Source):
    """A source that keeps the error with which it ends; one of its steps fails, `failing`."""

    def __init__(self, processor: PipeProcessor[Any, Any], failing: str = "") -> None:
        super().__init__(processor)
        self.failing = failing
        self.error: Exception | None = None

    def prepare(self, pieces: Pieces) -> Pieces:
        """As Source.prepare."""
        if self.failing == "prepare":
            raise ValueError(self.failing)
        return pieces

    def end(self, error: Exception | None) -> None:
        """As Source.end."""
        self.error = error
        if self.failing == "end":
            self.failing = ""
            raise ValueError("end")
        self.ended.set()


def say(source: Source, data: bytes, *, last: bool = True) -> None:
    """Have a source print something, and end."""
    source.pipe.put(Stream.OUT, data)
    if last:
        source.pipe.close()


@pytest.mark.parametrize("failing", ["prepare", "store", "all", "end"])
def test_one_that_fails_ends_alone(failing: str) -> None:
    """Whatever fails, its source is told, and another one beside it is whole; later ones are too."""

    def store(batch: Sequence[tuple[Ending, Pieces]]) -> list[bool | Exception]:
        if any(source.failing == "all" for source, _ in batch):
            raise ValueError("all")
        if any(source.failing == "store" for source, _ in batch):
            return [ValueError("store") if source.failing == "store" else False for source, _ in batch]
        return list(store_all(batch))

    processor: PipeProcessor[Ending, Pieces] = PipeProcessor(ThreadingStack(), store)
    bad, good = Ending(processor, failing), Ending(processor)
    processor.add(bad)
    say(bad, b"lost\n")
    assert bad.ended.wait(20)
    assert str(bad.error) == failing
    processor.add(good)
    say(good, b"whole\n")
    assert good.ended.wait(20)
    assert (text(good.pieces), good.error) == ("whole\n", None)


def test_a_failing_bell_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """The processor itself may fail: it says so, goes on, and nothing is lost."""
    processor: PipeProcessor[Source, Pieces] = PipeProcessor(ThreadingStack(), store_all)
    wait, failures = processor.bell.wait, [1]

    def fail(stack: Any) -> Any:
        found = wait(stack)
        if failures:
            failures.pop()
            raise OSError("a bell that breaks")
        return found

    processor.bell.wait = fail
    source = Source(processor)
    processor.add(source)
    thread = threading.Thread(target=say, args=(source, b"all of it\n"))
    thread.start()
    assert source.ended.wait(20)
    thread.join()
    assert text(source.pieces) == "all of it\n"
    assert "could not be taken" in caplog.text
