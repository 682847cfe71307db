"""The template: a clean process of one thread that has the jobs loaded, and is forked for each run.

`python -m app.child.template FD`: FD is a socket on which the supervisor's process first says what to load, then asks
for runs, and whose end ends the template. It restarts (by ending) when a job file was saved. One spare process is
always forked ahead, since forking is most of what a start costs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, NoReturn

from app import capture
from app.catalog import Catalog
from app.child import lineage
from app.child.job import JobProcess
from app.child.warden import guard, limit, rest, unwatch_children, watch_children
from app.errors import RealtimeError
from app.stack import SWITCH_SECONDS

REQUEST_BYTES = 262_144
WATCH_SECONDS = 1.0
# After a start the new run has the machine to itself; then comes the next spare.
SPARE_SECONDS = 0.02
# What comes with a request: the warden's socket, the job's control socket, its stdout and stderr.
DESCRIPTORS = 4
CONTROL_FD = 3


@dataclasses.dataclass(frozen=True)
class Asked:
    """The places of jobs, as the supervisor's process has them in its settings."""

    jobs: tuple[str, ...]
    environment: str


@dataclasses.dataclass(frozen=True)
class Spare:
    """A warden and a child below it, which wait for a run: for their descriptors, and what the child is to do."""

    warden: int
    to_warden: socket.socket
    to_child: socket.socket

    def assign(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Make it a run's.

        Raises: OSError where it has ended.
        """
        socket.send_fds(self.to_child, [json.dumps(request).encode()], descriptors[1:])
        socket.send_fds(self.to_warden, [b"!"], descriptors[:1])

    def process(self) -> list[int]:
        """A descriptor that stands for its process, if that is known already; the caller closes it."""
        try:
            return socket.recv_fds(self.to_warden, 1, 1, socket.MSG_DONTWAIT)[1]
        except OSError:
            return []

    def close(self) -> None:
        """Let go of it: it ends, unless it is a run's."""
        self.to_warden.close()
        self.to_child.close()


class Template:
    """Has a warden, with a job's process below it, for each request."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        options = json.loads(link.recv(REQUEST_BYTES))
        # Not the settings themselves: what they hold in secret must not be here.
        self._catalog = Catalog(Asked(tuple(options["jobs"]), options["environment"]), options["executors"])
        self._wardens: set[int] = set()
        self._strays = False
        self._spare: Spare | None = None
        self._ended = watch_children()
        lineage.adopt_orphans()

    def serve(self) -> None:
        """Answer until the supervisor's process has ended or a job file was saved."""
        ended = self._ended[0]
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.register(ended, select.POLLIN)
        gc.collect()
        # What is there now stays: a collection in a child would write to, and so copy, all its pages.
        gc.freeze()
        self._spare = self._fork()
        self._link.send(json.dumps({"ready": os.getpid()}).encode())
        while not self._catalog.stale():
            ready = poll.poll((WATCH_SECONDS if self._spare and not self._strays else SPARE_SECONDS) * 1000)
            for source, _ in ready:
                if source == ended:
                    rest(ended)
                elif not self._answer():
                    return
            self._reap()
            if self._strays or not ready:
                self._strays = self._end_strays()
            if not ready and self._spare is None:
                self._spare = self._fork()

    def _answer(self) -> bool:
        try:
            request, descriptors, _, _ = socket.recv_fds(self._link, REQUEST_BYTES, DESCRIPTORS)
        except OSError:
            return False
        if not request:
            return False
        for each in descriptors:
            os.set_inheritable(each, False)
        process: list[int] = []
        try:
            answer = self._spawn(json.loads(request), descriptors, process)
            socket.send_fds(self._link, [json.dumps(answer).encode()], process)
        finally:
            for each in descriptors + process:
                os.close(each)
        return True

    def _spawn(self, request: dict[str, Any], descriptors: list[int], process: list[int]) -> dict[str, Any]:
        """The answer to a request; `process` gets the descriptor of the run's process, if that is known already."""
        if self._catalog.stale():
            return {"stale": True}
        try:
            job = self._catalog.get(request["job"])
        except RealtimeError as error:
            return {"error": str(error)}
        chosen = {} if request.get("argv") else dataclasses.asdict(job.rules.limits)
        own = {name: value for name, value in chosen.items() if value is not None}
        limits = {**request["limits"], **own}
        warden = self._assign({**request, "limits": limits}, descriptors, process)
        grace = request["grace"] if job.rules.grace is None else job.rules.grace
        facts = {"injected": sorted(job.injected), "is_async": job.is_async, "secrets": job.secrets}
        return {"warden": warden, "limits": limits, "grace": grace, **facts}

    def _assign(self, request: dict[str, Any], descriptors: list[int], process: list[int]) -> int:
        spare, self._spare = self._spare, None
        if spare is not None:
            with contextlib.closing(spare), suppress(OSError):
                spare.assign(request, descriptors)
                process += spare.process()
                return spare.warden
        # There is none at the moment, or somebody has killed it.
        with contextlib.closing(self._fork()) as made:
            made.assign(request, descriptors)
            return made.warden

    def _fork(self) -> Spare:
        (warden_end, to_warden), (child_end, to_child) = (
            socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)
        )
        warden = os.fork()
        if warden == 0:
            try:
                for each in (self._link, to_warden, to_child):
                    each.close()
                unwatch_children(self._ended)
                guard(warden_end, child_end, lambda: _become_job(child_end, self._catalog))
            finally:
                os._exit(1)
        warden_end.close()
        child_end.close()
        self._wardens.add(warden)
        return Spare(warden, to_warden, to_child)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                process, _ = os.waitpid(-1, os.WNOHANG)
                if not process:
                    break
                if process in self._wardens:
                    self._wardens.discard(process)
                    self._strays = True

    def _end_strays(self) -> bool:
        """A warden that was killed leaves its run's processes to this one: they end with it.

        Were there any? Then there may be more: the kernel's list passes over some while others of it end.
        """
        strays = set(lineage.children_of(os.getpid())) - self._wardens
        for stray in strays:
            lineage.kill_below(stray)
            with suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        return bool(strays)


def _become_job(assigned: socket.socket, catalog: Catalog) -> NoReturn:
    """In the child: wait for a run, put its descriptors in their places, and run the job or another program.

    Descriptors that job files have opened stay as they are.
    """
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        # Where memory ends, runs end before the store and the servers.
        file.write("500")
    process = JobProcess()
    request, descriptors, _, _ = socket.recv_fds(assigned, REQUEST_BYTES, DESCRIPTORS)
    if not request:
        os._exit(0)
    assigned.close()
    control, out, err = descriptors
    for place, each in ((1, out), (2, err)):
        os.dup2(each, place)
        os.close(each)
    told = json.loads(request)
    if argv := told.get("argv"):
        # Such a program sets its own limits, and ends with what it runs: signals are for that.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.dup2(control, CONTROL_FD)
        os.set_inheritable(CONTROL_FD, True)
        os.chdir(told["cwd"])
        os.execve(argv[0], argv, told["env"])  # noqa: S606 - what the supervisor asks for
    os.set_inheritable(control, False)
    limit(told["limits"])
    process.run(socket.socket(fileno=control), catalog.get(told["job"]))


def main() -> None:
    """Load the jobs, and serve."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    # As in the web process: what passes output on is a thread beside the job's.
    sys.setswitchinterval(SWITCH_SECONDS)
    capture.install()
    Template(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
