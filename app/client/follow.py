"""Following a run in the terminal: its output as it comes, Ctrl-C, and the lines that it asks for, in one loop."""

from __future__ import annotations

import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from app.client import exits
from app.client.exits import Detached, Failure, inert
from app.client.inbox import Inbox
from app.client.news import Told
from app.client.reader import News, Output, Over, Reader, Say
from app.client.screen import ERR, OUT, Gone, Screen
from app.client.server import Server
from app.client.typed import Typed

BROKEN = select.POLLERR | select.POLLNVAL
FDS = {"out": OUT, "err": ERR}
# How Ctrl-C is answered where nobody can be asked.
ASK, STOP, DETACH = "ask", "stop", "detach"


class Follower:
    """Shows a run until its end; `position` is how far its output has been shown.

    `interrupt` is what Ctrl-C does: ask, stop or detach. `answers`: lines that the run asks for are read from stdin.
    """

    def __init__(
        self, server: Server, run: str, screen: Screen, *, as_json: bool, interrupt: str, answers: bool = True
    ) -> None:
        self._server, self._run, self._screen, self._json = server, run, screen, as_json
        self._interrupt, self._answers = interrupt, answers
        self._inbox = Inbox()
        self._pending: list[tuple[int, memoryview]] = []
        # Bytes of output that are still in there.
        self._owed = 0
        self._last = 0
        self._interrupts = 0
        self._at_once = False
        self._asking = self._stopping = False
        self._typed = Typed()
        self._told = Told(screen)
        self._over: Over | None = None
        self._ended: dict[str, Any] | None = None

    @property
    def position(self) -> int:
        """The byte up to which the output is shown."""
        return max(self._last - self._owed, 0)

    def follow(self, place: dict[str, Any], *, stream: str = "all", follow: bool = True) -> dict[str, Any] | None:
        """Show it from `place` on; the run as it has ended, None where it goes on.

        Raises: Failure; Detached; Gone.
        """
        Reader(self._server, self._run, self._inbox, place, stream=stream, follow=follow).start()
        with self._signals():
            try:
                while not (self._over and not self._pending):
                    self._turn()
            finally:
                self._inbox.close()
                self._screen.erase()
        if self._over.failure is not None:
            raise self._over.failure
        return self._ended

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {each: signal.signal(each, self._on_signal) for each in (signal.SIGINT, signal.SIGTERM)}
        wakeup = signal.set_wakeup_fd(self._inbox.rouser, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def _talks(self) -> bool:
        return self._interrupt == ASK and self._screen.talks

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        if number == signal.SIGTERM:
            self._interrupts, self._interrupt = max(self._interrupts, 1), DETACH
        if self._at_once:
            raise Detached

    def _turn(self) -> None:
        """Wait for something, and do what has to be done."""
        # Before it is looked: what comes behind the look wakes again.
        self._inbox.settle()
        self._look_at_interrupts()
        if not self._interrupts and not self._pending and not self._asking and (self._take() or self._answer()):
            return
        ready = self._wait()
        if any(ready.get(fd, 0) & BROKEN for fd in (OUT, ERR)):
            raise Gone
        if self._pending and not self._asking and ready.get(self._pending[0][0]):
            self._write()
        if ready.get(0):
            self._read_stdin()

    def _look_at_interrupts(self) -> None:
        if self._interrupts > 1 and self._interrupt != STOP:
            raise Detached
        # A record is shown to its end, unless somebody is there to decide: nobody may be taking it any more.
        if self._interrupts and not self._asking and (not self._pending or self._talks):
            self._interrupted()

    def _wait(self) -> dict[int, int]:
        poll = select.poll()
        poll.register(self._inbox.wake, select.POLLIN)
        wanted = self._pending[0][0] if self._pending and not self._asking else None
        for fd in (OUT, ERR):
            # Also who waits learns that nobody reads any more.
            poll.register(fd, select.POLLOUT if fd == wanted else 0)
        if self._asking or self._wants_line:
            poll.register(0, select.POLLIN)
        return dict(poll.poll())

    def _take(self) -> bool:
        """Take the next of the inbox; whether there was one."""
        item = self._inbox.take()
        if isinstance(item, Output):
            self._last = item.position
            self._owed = item.position - item.start
            self._show(FDS.get(item.stream, OUT), item.data, item.line)
        elif isinstance(item, News):
            self._news(item)
        elif isinstance(item, Say):
            self._screen.say(item.text)
        elif isinstance(item, Over):
            self._over = item
        return item is not None

    def _show(self, fd: int, data: bytes, line: bytes) -> None:
        if self._json:
            fd, data = OUT, inert(line) + b"\n"
        if data:
            self._pending.append((fd, memoryview(data)))
        else:
            self._owed = 0

    def _news(self, item: News) -> None:
        record = item.record
        if self._json and item.line:
            self._pending.append((OUT, memoryview(inert(item.line) + b"\n")))
        if record["type"] == "begin":
            self._last = record["after"]
        elif record["type"] == "omitted":
            self._last = record["position"]
        if record["type"] == "end":
            self._ended = record["run"]
        self._told.tell(record)

    def _write(self) -> None:
        fd, data = self._pending[0]
        rest = data[self._screen.write(fd, data) :]
        # JSON is owed until the whole line is out.
        self._owed = len(rest) if not self._json else self._owed if rest else 0
        if rest:
            self._pending[0] = (fd, rest)
        else:
            del self._pending[0]

    def _read_stdin(self) -> None:
        self._typed.read()
        if self._asking:
            self._decide()

    @property
    def _wants_line(self) -> bool:
        return self._answers and self._told.asks is not None

    def _answer(self) -> bool:
        """Give the run the line that it asks for, if one was typed; whether one was."""
        if not self._wants_line or not self._typed.ready:
            return False
        line = self._typed.line()
        asked, self._told.asks = self._told.asks, None
        if self._screen.terminal[0]:
            self._typed.reopen()
            if line is not None:
                self._screen.unwrite(line)
        if not self._call("input", {"line": line}) and line is not None:
            # Another line may be taken; where the run does not ask any more, its news say so.
            self._told.asks = asked
        return True

    def _interrupted(self) -> None:
        if self._interrupt == STOP:
            self._interrupts = 0
            self._call("kill" if self._stopping else "stop")
            return
        if not self._talks:
            raise Detached
        self._asking = True
        first = "[k]ill it now" if self._stopping else "[s]top the run"
        self._screen.ask(f"{first}, [d]etach and leave it going, or [c]ontinue?")

    def _decide(self) -> None:
        if not self._typed.ready:
            return
        line = self._typed.line()
        choice = "d" if line is None else line.strip().lower()[:1]
        self._asking, self._interrupts = False, 0
        if choice == "d":
            raise Detached
        if choice in ("s", "k"):
            self._call("kill" if choice == "k" else "stop")

    def _call(self, what: str, body: dict[str, Any] | None = None) -> bool:
        """Tell the server, whose refusal does not end the following; whether it was taken, or comes too late.

        Ctrl-C meanwhile detaches at once.
        """
        self._at_once = True
        try:
            self._server.call("POST", f"/runs/{self._run}/{what}", body=body, again=what != "input")
        except Failure as error:
            if error.exits == exits.DENIED and error.code == "login_required":
                raise
            late = error.code == "not_waiting"
            if not late:
                self._screen.tell(f"{what}: {error.message}")
            return late
        finally:
            self._at_once = False
        if what != "input":
            self._stopping = True
            self._screen.say("The run is asked to stop." if what == "stop" else "The run is killed.")
        return True


def interrupted_at(run: str, position: int) -> str:
    """What somebody is told who leaves a run."""
    return (
        f"Detached: the run goes on. To see the rest: python -m app logs -f --after {position} {run}\n"
        f"To stop it: python -m app stop {run}"
    )
