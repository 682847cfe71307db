"""The async stack, in the one room that names eventlet: greenlets and pipes, or plain threads.

The hub is where the web server's own code runs: greenlets of one OS thread on the eventlet leg, OS threads on the
threading leg. Jobs always run in real OS threads and keep the standard library's own sockets: nothing global is
patched.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from app.patient import with_patience
from app.threads import Call, start_thread

T = TypeVar("T")
# How long a thread that computes keeps the interpreter to itself: each system call of the hub may wait so long. A
# shorter one costs a flood nothing that could be measured, and halves the time of a line beside it.
SWITCH_SECONDS = 0.0001


class Signal(Protocol):
    """Something that hub code waits for; `set` may be called from hub code only."""

    def set(self) -> None:
        """Wake whoever waits, now or at the next wait."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until set, or for `timeout` seconds; clears the signal; False means that time ran out."""


class Permits(Protocol):
    """A bound on how many pieces of hub code do something at once; usable with `with`."""

    def acquire(self) -> object:
        """Take a permit, waiting for it."""

    def release(self) -> object:
        """Give it back."""

    def __enter__(self) -> object:
        """Take a permit, waiting for it."""

    def __exit__(self, *_error: Any) -> object:
        """Give it back."""


class Stack(Protocol):
    """What the product needs of an async library."""

    name: str

    def spawn(self, function: Callable[..., object], *args: object) -> None:
        """Run hub code beside the caller."""

    def sleep(self, seconds: float) -> None:
        """Let others run for `seconds`."""

    def lock(self) -> AbstractContextManager[Any]:
        """A lock for hub code, which may be held across input and output."""

    def permits(self, count: int) -> Permits:
        """So many permits for hub code: who finds none waits until one is given back."""

    def signal(self) -> Signal:
        """A new signal between pieces of hub code."""

    def wait_readable(self, fd: int, timeout: float | None = None) -> bool:
        """Wait until a pipe has something to read; False means that `timeout` seconds ran out."""

    def call_in_thread(self, function: Callable[..., T], *args: object) -> T:
        """From the hub: run blocking code in an OS thread of its own and wait for its result."""

    def call_from_thread(self, function: Callable[..., T], *args: object) -> T:
        """From an OS thread: have the hub run `function` and wait for its result or exception."""

    def listen(self) -> None:
        """Start answering `call_from_thread`; called once, by hub code of the process that serves."""


class ThreadingSignal:
    """Signal on the threading leg."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.set = self._event.set

    def wait(self, timeout: float | None = None) -> bool:
        """As Signal.wait."""
        came = self._event.wait(timeout)
        self._event.clear()
        return came


class ThreadingStack:
    """The second leg: every piece of hub code is an OS thread."""

    name = "threading"

    def spawn(self, function: Callable[..., object], *args: object) -> None:
        """As Stack.spawn."""
        start_thread(function, *args)

    def sleep(self, seconds: float) -> None:
        """As Stack.sleep."""
        time.sleep(seconds)

    def lock(self) -> AbstractContextManager[Any]:
        """As Stack.lock."""
        return threading.Lock()

    def permits(self, count: int) -> Permits:
        """As Stack.permits."""
        return threading.Semaphore(count)

    def signal(self) -> Signal:
        """As Stack.signal."""
        return ThreadingSignal()

    def wait_readable(self, fd: int, timeout: float | None = None) -> bool:
        """As Stack.wait_readable."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def call_in_thread(self, function: Callable[..., T], *args: object) -> T:
        """As Stack.call_in_thread: the caller is a thread already."""
        return function(*args)

    def call_from_thread(self, function: Callable[..., T], *args: object) -> T:
        """As Stack.call_from_thread: any thread may run hub code."""
        return function(*args)

    def listen(self) -> None:
        """As Stack.listen: nothing to do."""


class EventletSignal:
    """Signal on the eventlet leg."""

    def __init__(self, event: Callable[[], Any], timeout: Callable[..., Any]) -> None:
        self._new, self._timeout = event, timeout
        self._event = event()

    def set(self) -> None:
        """As Signal.set."""
        if not self._event.ready():
            self._event.send()

    def wait(self, timeout: float | None = None) -> bool:
        """As Signal.wait."""
        came = bool(self._event.ready())
        if not came and timeout is None:
            self._event.wait()
            came = True
        elif not came:
            with self._timeout(timeout, exception=False):
                self._event.wait()
                came = True
        if self._event.ready():
            self._event = self._new()
        return came


class EventletStack:
    """The first leg: one OS thread, greenlets, and green sockets for Redis alone."""

    name = "eventlet"

    def __init__(self) -> None:
        import eventlet
        import eventlet.event
        import eventlet.green.socket
        import eventlet.green.ssl
        import eventlet.hubs
        from redis import connection

        # Redis is the only library whose sockets hub code waits on, so only its module gets green ones. Job threads
        # keep the standard library's: a green socket in an OS thread makes a hub there, and leaks its descriptor.
        module: Any = connection
        module.socket = with_patience(eventlet.green.socket)
        module.ssl = eventlet.green.ssl
        self._eventlet, self._event = eventlet, eventlet.event.Event
        self._trampoline = eventlet.hubs.trampoline
        self._notify_opened = eventlet.hubs.notify_opened
        self._calls: list[Call] = []
        self._doorbell: int | None = None
        self._guard = threading.Lock()

    def spawn(self, function: Callable[..., object], *args: object) -> None:
        """As Stack.spawn."""
        self._eventlet.spawn_n(function, *args)

    def sleep(self, seconds: float) -> None:
        """As Stack.sleep."""
        self._eventlet.sleep(seconds)

    def lock(self) -> AbstractContextManager[Any]:
        """As Stack.lock."""
        from eventlet.semaphore import Semaphore

        lock: AbstractContextManager[Any] = Semaphore(1)
        return lock

    def permits(self, count: int) -> Permits:
        """As Stack.permits."""
        from eventlet.semaphore import Semaphore

        permits: Permits = Semaphore(count)
        return permits

    def signal(self) -> Signal:
        """As Stack.signal."""
        return EventletSignal(self._event, self._eventlet.Timeout)

    def wait_readable(self, fd: int, timeout: float | None = None) -> bool:
        """As Stack.wait_readable."""
        # A pipe has one reader, so whoever waits on this number waits on something that was closed: the hub is told.
        self._notify_opened(fd)
        try:
            self._trampoline(fd, read=True, timeout=timeout, timeout_exc=TimeoutError)
        except TimeoutError:
            return False
        return True

    def call_in_thread(self, function: Callable[..., T], *args: object) -> T:
        """As Stack.call_in_thread."""
        call = Call(function, args)
        reader, writer = os.pipe()

        def work() -> None:
            call.run()
            os.close(writer)

        try:
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError:
            os.close(reader)
            os.close(writer)
            raise
        try:
            self.wait_readable(reader)
        finally:
            os.close(reader)
        result: T = call.outcome()
        return result

    def call_from_thread(self, function: Callable[..., T], *args: object) -> T:
        """As Stack.call_from_thread."""
        if self._doorbell is None:
            raise RuntimeError("the hub does not listen to threads: call listen() in it first")
        call = Call(function, args)
        with self._guard:
            self._calls.append(call)
        os.write(self._doorbell, b"!")
        call.done.wait()
        result: T = call.outcome()
        return result

    def listen(self) -> None:
        """As Stack.listen."""
        if self._doorbell is not None:
            return
        reader, self._doorbell = os.pipe()
        self._eventlet.spawn_n(self._answer, reader)

    def _answer(self, reader: int) -> None:
        while True:
            self.wait_readable(reader)
            os.read(reader, 4096)
            with self._guard:
                calls, self._calls = self._calls, []
            for call in calls:
                self._eventlet.spawn_n(call.run)


def make_stack(name: str) -> Stack:
    """The stack called `name`: `eventlet` or `threading`."""
    return EventletStack() if name == "eventlet" else ThreadingStack()
