"""`sys.stdout` and `sys.stderr` of the process: each thread's print goes to its own run, or else to the console.

Two objects stand for each stream. `print` reads the module's dictionary and finds the router, which has its `write` in
a dictionary of each thread's own: so a flood costs no Python code. All other code asks the module's attribute and gets
the run's own stream. Child threads and work handed to thread pools inherit the run: neither threading.local nor
ContextVar does that by itself on 3.11 to 3.13.
"""

from __future__ import annotations

import concurrent.futures
import functools
import io
import sys
import threading
import types
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TextIO, TypeVar, cast

from app.capture.capture import Capture
from app.capture.writer import Writer
from app.model import Stream

T = TypeVar("T")


class _Here(threading.local):
    """What the calling thread belongs to."""

    capture: Capture | None = None
    out: Writer | None = None
    err: Writer | None = None


_here = _Here()


def bind(capture: Capture | None) -> None:
    """From now on the calling thread belongs to `capture`'s run; None: to no run."""
    before, out, err = _here.capture, _here.out, _here.err
    _here.capture = _here.out = _here.err = None
    if before is not None and out is not None and err is not None:
        before.retire(out)
        before.retire(err)
    if capture is not None:
        _here.out = capture.writer(Stream.OUT, OUT.__dict__)
        _here.err = capture.writer(Stream.ERR, ERR.__dict__)
        _here.capture = capture


def let_go() -> None:
    """In a process that a run has forked: it prints to the console, whose descriptors are the run's."""
    _here.capture = _here.out = _here.err = None
    for router in (OUT, ERR):
        router.__dict__.pop("write", None)


def current() -> Capture | None:
    """The capture of the run that the calling thread belongs to."""
    return _here.capture


def in_run() -> bool:
    """Does the calling thread belong to a run?"""
    return _here.capture is not None


class OwnStream(io.TextIOBase):
    """What code finds as `sys.stdout` or `sys.stderr`: in a run its own output, whatever it puts in the stream's place.

    So a tee that keeps what it found, and writes to it, writes to the output and not to itself.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.console: TextIO = sys.__dict__[f"std{stream}"]
        self.instead: TextIO | None = None

    @property
    def outside(self) -> TextIO:
        """What threads without a run write to: the console, or what was assigned in its place."""
        return self.instead or self.console

    def _target(self) -> Any:
        return getattr(_here, self.stream) or self.outside

    def write(self, text: str) -> int:
        """Write to the run's output; returns the number of characters.

        Raises: TypeError for something else than a text; ValueError where the run closed the stream.
        """
        writer: Writer | None = getattr(_here, self.stream)
        return self.outside.write(text) if writer is None else writer.own_write(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Write each text."""
        for line in lines:
            self.write(line)

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
        return "utf-8" if in_run() else self.outside.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How text that has no bytes is written."""
        return "backslashreplace"

    def writable(self) -> bool:
        """True: it is for writing."""
        return True

    def isatty(self) -> bool:
        """False in a run: the page is no terminal that answers."""
        return not in_run() and self.outside.isatty()

    def fileno(self) -> int:
        """The console's descriptor outside a run, or that of a run in a process of its own; one in a thread has none.

        Raises: io.UnsupportedOperation in a run in a thread.
        """
        capture = current()
        if capture is not None:
            own: Callable[[Stream], int] | None = getattr(capture.pipe, "fileno", None)
            if own is not None:
                self.flush()
                return own(self.stream)
            raise io.UnsupportedOperation("fileno: the output of a run in a thread has no file descriptor")
        return self.outside.fileno()

    def reconfigure(self, **_options: Any) -> None:
        """Accepted and ignored: a run's output is UTF-8, and lines go out at once."""

    def replace(self, value: TextIO) -> None:
        """What `sys.stdout = value` means: for the calling run, or outside all runs; the stream itself undoes it."""
        capture = current()
        itself = isinstance(value, (OwnStream, Router))
        if capture is None:
            self.instead = None if itself else value
        elif itself:
            capture.replaced.pop(self.stream, None)
        else:
            self.flush()
            capture.replaced[self.stream] = value
            capture.slow_down()

    def seen(self) -> TextIO:
        """What `sys.stdout` means to the calling thread."""
        capture = current()
        instead = self.instead if capture is None else capture.replaced.get(self.stream)
        return instead or cast("TextIO", self)


class Router(threading.local):
    """What `print` and all else that is written in C finds as a stream; each thread of a run has its own `write` there.

    It hides nothing: all but `write` is asked of what `sys.stdout` means to the calling thread.
    """

    own: ClassVar[OwnStream]

    def write(self, text: str) -> int:
        """Outside all runs: to the console."""
        return self.own.outside.write(text)

    def flush(self) -> None:
        """As the stream's."""
        self.own.seen().flush()

    def fileno(self) -> int:
        """As the stream's."""
        return self.own.seen().fileno()

    def isatty(self) -> bool:
        """As the stream's."""
        return self.own.seen().isatty()

    @property
    def encoding(self) -> str:
        """As the stream's."""
        return self.own.seen().encoding

    @property
    def errors(self) -> str | None:
        """As the stream's."""
        return self.own.seen().errors

    @property
    def closed(self) -> bool:
        """As the stream's."""
        return self.own.seen().closed


class OutRouter(Router):
    """`sys.stdout`."""


class ErrRouter(Router):
    """`sys.stderr`."""


OUT, ERR = OutRouter(), ErrRouter()


def _routed(router: type[Router]) -> property:
    def get(_module: types.ModuleType) -> TextIO:
        return router.own.seen()

    def put(_module: types.ModuleType, value: TextIO) -> None:
        router.own.replace(value)

    return property(get, put)


class _Sys(types.ModuleType):
    """`sys`, where assigning stdout in a run (contextlib.redirect_stdout too) concerns that run alone."""

    stdout = _routed(OutRouter)
    stderr = _routed(ErrRouter)


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
        except BaseException as error:
            # No more can be had. But who waits here for one that the system has just begun may be stopped.
            capture.disown(self, may_begin=not isinstance(error, Exception))
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
    for router, stream in ((OUT, Stream.OUT), (ERR, Stream.ERR)):
        type(router).own = own = OwnStream(stream)
        sys.__dict__[f"std{stream}"] = router
        sys.__dict__[f"__std{stream}__"] = own
    sys.__class__ = _Sys
    _inherit_in_threads()
