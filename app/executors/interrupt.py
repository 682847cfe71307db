"""An exception in a running thread, raised only where it harms nobody but the job's own code.

`PyThreadState_SetAsyncExc` raises at whatever place the thread has come to: between taking a lock and the `try` that
gives it back, that lock is held for ever. So the thread's frames are looked at first. All of them that are above the
place where the job's code begins must be code that holds no lock which others need: nothing of ours, of `import`, of
`logging` beyond its beginning. The look and the raise are one step to the interpreter: no bytecode between them lets go
of its lock.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import ctypes
import logging
import selectors
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from operator import call
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from app.capture import Capture
from app.thread_frames import uncollected

T = TypeVar("T")
_APP = str(Path(__file__).parents[1]) + "/"
# Jobs, and what belongs to them, that come with the product.
_JOBS = (f"{_APP}list_spaces.py", f"{_APP}webexteamsasyncapi.py")
_CAPTURE, _EXECUTORS = f"{_APP}capture/", f"{_APP}executors/"
_LOGGING = str(Path(logging.__file__).parent) + "/"
_ASYNCIO = str(Path(asyncio.__file__).parent) + "/"
_IMPORT = "<frozen importlib"
_LIBRARIES = tuple({sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")})
# Functions of libraries that take or give a lock. The others of `threading` are too short to be worth a try.
_LOCKING = frozenset({"acquire", "release", "__enter__", "__exit__", "_acquireLock", "_releaseLock"})
# What a call of `logging` does before it takes its locks, and after it gave them back.
_LEVELS = ("debug", "info", "warning", "error", "exception", "critical", "log")
_LOGGING_FREE = frozenset(
    {f"{kind}{level}" for kind in ("", "Logger.", "LoggerAdapter.") for level in _LEVELS}
    | {f"Logger.{name}" for name in ("_log", "findCaller", "makeRecord", "handle", "callHandlers")}
    | {"LoggerAdapter.process", "LogRecord.__init__", "currentframe", "_is_internal_frame"}
)
_WAITING = frozenset({"wait", "wait_for", "join", "_wait_for_tstate_lock", "run"})
# Where the job's code begins in a thread: these have the run's capture as a local name.
_BOUND = ("_run_bound", "_call_bound")
_ARRIVED = "_stopped_times"

_SET = ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
_set_async_exception = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.py_object)(_SET)
_clear_async_exception = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)(_SET)
# Before 3.13 one flag of the whole process says that an exception waits for some thread. While one waits, every thread
# is slower (LASTING says that none is), and the first that gets its exception takes the flag down for all of them.
LASTING = sys.version_info >= (3, 13)
_armed: set[int] = set()


class Stopped(KeyboardInterrupt):
    """Raised in a job that was asked to stop and goes on: what Ctrl-C is to a script."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or ("Stop was pressed.",)))
        # The interpreter makes the instance as it raises it, in the thread itself: so it is known to have arrived.
        thread = threading.current_thread()
        thread.__dict__[_ARRIVED] = arrived(thread) + 1
        _armed.discard(threading.get_ident())
        if _armed and not LASTING:
            # The flag again, for the others: they would get theirs late, wherever they are by then.
            _clear_async_exception(threading.get_ident(), None)


class _Settled(BaseException):
    """Raised by a thread in itself, for no other reason than that this takes the flag down."""


def arrived(thread: threading.Thread) -> int:
    """How often a thread was stopped by an exception so far."""
    times: int = thread.__dict__.get(_ARRIVED, 0)
    return times


def within(capture: Capture, work: Callable[[], T]) -> T:
    """Call the job's code; what is on the stack above this frame belongs to the run of `capture`."""
    return work()


def disarm() -> None:
    """In the thread itself, its job's code over: whatever was to be raised in it and has not come, comes no more."""
    try:
        _withdraw(threading.get_ident())
    except Stopped:
        # It came at this very moment.
        return


def withdraw(thread: threading.Thread) -> None:
    """What was to be raised in a thread, and has not come, since it waits in C code, comes no more."""
    if thread.ident:
        _withdraw(thread.ident)


def _withdraw(ident: int) -> None:
    if ident not in _armed:
        return
    _armed.discard(ident)
    _clear_async_exception(ident, None)
    if not _armed and not LASTING:
        _settle()


def _settle() -> None:
    try:
        _set_async_exception(threading.get_ident(), _Settled)
        # It comes with the next bytecode that looks; each round of a loop does.
        for _ in range(3):
            continue
    except _Settled:
        return


def raise_in(thread: threading.Thread, capture: Capture) -> bool:
    """Raise Stopped in a thread of a run, at the next bytecode; False where that may not be now.

    A thread that waits in C code gets it as that returns. One that waits in asyncio gets it from its loop.
    """
    with uncollected():
        return _raise_in(thread, capture)


def _raise_in(thread: threading.Thread, capture: Capture) -> bool:
    ident = thread.ident
    top = sys._current_frames().get(ident) if ident else None
    if ident is None or top is None or not _belongs(top, capture):
        return False
    loop = _waiting_loop(top)
    if loop is not None:
        try:
            loop.call_soon_threadsafe(_raise_once, arrived(thread))
        except RuntimeError:
            # It has just been closed.
            return False
        return True
    if not _is_harmless(top):
        return False
    _armed.add(ident)
    done = _raise_if_at(ident, top)
    if not done:
        _armed.discard(ident)
    return done


def _raise_once(before: int) -> None:
    if arrived(threading.current_thread()) == before:
        raise Stopped


def busy_pool_workers(capture: Capture) -> bool:
    """Does a pool's thread of this run run its code now?"""
    with uncollected():
        return _busy_pool_workers(capture)


def _busy_pool_workers(capture: Capture) -> bool:
    frames = sys._current_frames()
    # Others that are not waited for are daemons, such as tqdm's monitor, and live on as they would in a script.
    targets = ((thread, getattr(thread, "_target", None)) for thread in capture.threads)
    workers = (thread for thread, target in targets if getattr(target, "__code__", None) is _WORKER)
    found = (frames.get(thread.ident) for thread in workers if thread.ident)
    return any(top is not None and _belongs(top, capture) and not _is_idle_worker(top) for top in found)


def _raise_if_at(ident: int, top: FrameType) -> bool:
    # Up to the call that sets it there is no bytecode that may pass the interpreter on to another thread: no call of
    # Python code, no loop, no call that returns to here (`map` is called before, and drawn from by the unpacking).
    (frames,) = map(call, (sys._current_frames,))
    try:
        if frames[ident] is top:
            _set_async_exception(ident, Stopped)
            return True
    except KeyError:
        # It has ended.
        pass
    return False


def _frames(top: FrameType) -> Iterator[FrameType]:
    frame: FrameType | None = top
    while frame is not None:
        yield frame
        frame = frame.f_back


def _own_frames(top: FrameType) -> Iterator[FrameType]:
    """The frames of the job's code, and of what it called, innermost first."""
    for frame in _frames(top):
        if _is_entry(frame):
            return
        yield frame


def _is_entry(frame: FrameType) -> bool:
    return frame.f_code is _WITHIN or (frame.f_code.co_name in _BOUND and _is_in(frame, _CAPTURE))


def _belongs(top: FrameType, capture: Capture) -> bool:
    entry = next(filter(_is_entry, _frames(top)), None)
    return entry is not None and entry is not top and entry.f_locals.get("capture") is capture


def _is_idle_worker(top: FrameType) -> bool:
    return any(frame.f_code is _WORKER for frame in _own_frames(top))


def _is_harmless(top: FrameType) -> bool:
    frames = list(_own_frames(top))
    if frames and frames[0].f_code.co_name == "wait_for_room" and _is_in(frames[0], _CAPTURE):
        # A print that waits for room in the pipe: it has taken no lock yet, and may wait for long.
        while frames and _is_in(frames[0], _CAPTURE):
            del frames[0]
        return bool(frames) and not any(map(_keeps_locks, frames))
    return bool(frames) and not _takes_locks(frames[0]) and not any(map(_keeps_locks, frames))


def _keeps_locks(frame: FrameType) -> bool:
    """Code that may hold a lock which others need for as long as it is on the stack."""
    if frame.f_code is _WORKER or _is_in(frame, _IMPORT):
        return True
    if _is_in(frame, _LOGGING):
        return frame.f_code.co_qualname not in _LOGGING_FREE
    return _is_in(frame, _APP) and not _is_in(frame, _EXECUTORS, *_JOBS)


def _takes_locks(frame: FrameType) -> bool:
    """Code that may be about to take or to give a lock."""
    name = frame.f_code.co_name
    if frame.f_code.co_filename == threading.__file__:
        return name not in _WAITING
    return _is_in(frame, _EXECUTORS) or (name in _LOCKING and _is_in(frame, *_LIBRARIES))


def _is_in(frame: FrameType, *places: str) -> bool:
    return frame.f_code.co_filename.startswith(places)


def _waiting_loop(top: FrameType) -> asyncio.AbstractEventLoop | None:
    """The event loop that the thread is in, where no task of it runs just now."""
    for frame in _own_frames(top):
        if not _is_in(frame, _ASYNCIO, selectors.__file__):
            return None
        if frame.f_code.co_name == "run_forever":
            loop: Any = frame.f_locals.get("self")
            return loop if isinstance(loop, asyncio.AbstractEventLoop) else None
    return None


_WITHIN = within.__code__
_WORKER = concurrent.futures.thread._worker.__code__
