"""`sys.stdout` and `sys.stderr` of the process: each thread's print goes to its own run, or else to the console.

`write` is a property, so that `print` gets the writer's own C method. Child threads and work handed to thread pools
inherit the run: neither threading.local nor ContextVar does that by itself on 3.11 to 3.13.
"""

from __future__ import annotations

import concurrent.futures
import functools
import io
import sys
import threading
import types
from collections.abc import Callable, Iterable
from typing import Any, TextIO, TypeVar, cast

from app.capture.writer import Capture, Writer
from app.model import Stream

T = TypeVar("T")
_here = threading.local()


def bind(capture: Capture | None) -> None:
    """From now on the calling thread belongs to `capture`'s run; None: to no run."""
    before = current()
    if before is not None:
        before.retire(_here.out)
        before.retire(_here.err)
        del _here.capture, _here.out, _here.err
    if capture is not None:
        _here.capture = capture
        _here.out = capture.writer(Stream.OUT)
        _here.err = capture.writer(Stream.ERR)


def current() -> Capture | None:
    """The capture of the run that the calling thread belongs to."""
    return _here.__dict__.get("capture")


def in_run() -> bool:
    """Does the calling thread belong to a run?"""
    return current() is not None


class Router(io.TextIOBase):
    """Stands as `sys.stdout` or `sys.stderr`, before the console that was there."""

    def __init__(self, stream: Stream, outside: TextIO) -> None:
        self.stream = stream
        self._console = outside
        self._instead: TextIO | None = None

    @property
    def outside(self) -> TextIO:
        """What threads without a run write to: the console, or what was assigned in its place."""
        return self._instead or self._console

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Write each text."""
        for line in lines:
            self.write(line)

    def _target(self) -> Any:
        writer: Writer | None = getattr(_here, self.stream, None)
        if writer is None:
            return self.outside
        return writer.capture.replaced.get(self.stream, writer)

    def flush(self) -> None:
        """Pass on what was written, an unfinished line too."""
        self._target().flush()

    def close(self) -> None:
        """Close the run's stream, as a script may close its stdout; nothing outside a run."""
        capture = current()
        if capture is not None:
            self.flush()
            capture.closed.add(self.stream)
            capture.slow_down()

    @property
    def closed(self) -> bool:
        """True after the run closed this stream."""
        capture = current()
        return capture is not None and self.stream in capture.closed

    @property
    def buffer(self) -> Any:
        """The stream's bytes."""
        return self._target().buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8 in a run."""
        return "utf-8" if current() is not None else self.outside.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How text that has no bytes is written."""
        return "backslashreplace"

    def writable(self) -> bool:
        """True: it is for writing."""
        return True

    def isatty(self) -> bool:
        """False in a run: the page is no terminal that answers."""
        return current() is None and self.outside.isatty()

    def fileno(self) -> int:
        """The console's descriptor outside a run; a run in a thread has none.

        Raises: io.UnsupportedOperation in a run.
        """
        if current() is not None:
            raise io.UnsupportedOperation("fileno: the output of a run in a thread has no file descriptor")
        return self.outside.fileno()

    def reconfigure(self, **_options: Any) -> None:
        """Accepted and ignored: a run's output is UTF-8, and lines go out at once."""

    def replace(self, value: TextIO) -> None:
        """What `sys.stdout = value` means: for the calling run, or outside all runs; the router itself undoes it."""
        capture = current()
        itself = isinstance(value, Router)
        if capture is None:
            self._instead = None if itself else value
        elif itself:
            capture.replaced.pop(self.stream, None)
        else:
            self.flush()
            capture.replaced[self.stream] = value
            capture.slow_down()

    def seen(self) -> TextIO:
        """What `sys.stdout` means to the calling thread."""
        capture = current()
        if capture is None:
            return self._instead or cast("TextIO", self)
        return capture.replaced.get(self.stream) or cast("TextIO", _own[self.stream])


class OutRouter(Router):
    """`sys.stdout`; its `write` is the hot path, so it is spelled out for each stream."""

    @property
    def write(self) -> Callable[[str], int]:  # type: ignore[override]
        """The write method for the calling thread."""
        try:
            writer: Writer = _here.out
        except AttributeError:
            return self.outside.write
        writer.touched = True
        return writer.fast_write if writer.ready else writer.slow_write


class ErrRouter(Router):
    """`sys.stderr`."""

    @property
    def write(self) -> Callable[[str], int]:  # type: ignore[override]
        """The write method for the calling thread."""
        try:
            writer: Writer = _here.err
        except AttributeError:
            return self.outside.write
        writer.touched = True
        return writer.fast_write if writer.ready else writer.slow_write


class OwnStream(Router):
    """What a run finds as `sys.stdout` or `sys.stderr`: its own output, whatever it puts in the stream's place.

    So a tee that keeps what it found, and writes to it, writes to the output and not to itself.
    """

    @property
    def write(self) -> Callable[[str], int]:  # type: ignore[override]
        """The write method for the calling thread."""
        writer: Writer | None = getattr(_here, self.stream, None)
        if writer is None:
            return sys.__dict__[f"std{self.stream}"].write  # type: ignore[no-any-return]
        writer.touched = True
        return writer.fast_write if writer.ready else writer.own_write

    def _target(self) -> Any:
        writer: Writer | None = getattr(_here, self.stream, None)
        return sys.__dict__[f"std{self.stream}"] if writer is None else writer


_own: dict[Stream, OwnStream] = {}


def _routed(name: str) -> property:
    def get(module: types.ModuleType) -> TextIO:
        router: Router = module.__dict__[name]
        return router.seen()

    def put(module: types.ModuleType, value: TextIO) -> None:
        module.__dict__[name].replace(value)

    return property(get, put)


class _Sys(types.ModuleType):
    """`sys`, where assigning stdout in a run (contextlib.redirect_stdout too) concerns that run alone.

    `print` reads the module's dictionary and so always finds the router.
    """

    stdout = _routed("stdout")
    stderr = _routed("stderr")


def _inherit_in_threads() -> None:
    start = threading.Thread.start
    submit: Callable[..., Any] = concurrent.futures.ThreadPoolExecutor.submit

    def starting(self: threading.Thread) -> None:
        capture = current()
        if capture is None:
            start(self)
            return
        self.run = functools.partial(_run_bound, capture, self.run)  # type: ignore[method-assign]
        capture.adopt(self)
        try:
            start(self)
        except BaseException:
            # No more threads can be had, or it was started before: nobody must wait for it.
            capture.disown(self)
            raise

    def submitting(self: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        capture = current()
        work = function if capture is None else functools.partial(_call_bound, capture, function)
        return submit(self, work, *args, **kwargs)

    threading.Thread.start = functools.wraps(start)(starting)  # type: ignore[method-assign]
    pool: Any = concurrent.futures.ThreadPoolExecutor
    pool.submit = functools.wraps(submit)(submitting)


def _run_bound(capture: Capture, run: Callable[[], object]) -> None:
    bind(capture)
    run()


def _call_bound(capture: Capture, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    # A pool's thread may serve several runs: it belongs to this one for the length of the call.
    before = current()
    if before is capture:
        return function(*args, **kwargs)
    bind(capture)
    try:
        return function(*args, **kwargs)
    finally:
        bind(before)


def install() -> None:
    """Put the routers in place, once in the life of a process; call it before jobs are loaded."""
    if isinstance(sys.__dict__["stdout"], Router):
        return
    routers = (OutRouter(Stream.OUT, sys.__dict__["stdout"]), ErrRouter(Stream.ERR, sys.__dict__["stderr"]))
    for router, name in zip(routers, ("stdout", "stderr"), strict=True):
        sys.__dict__[name] = router
        _own[router.stream] = sys.__dict__[f"__{name}__"] = OwnStream(router.stream, router.outside)
    sys.__class__ = _Sys
    _inherit_in_threads()
