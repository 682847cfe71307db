"""The template: a clean process of one thread that has the jobs loaded, and is forked for each run.

`python -m app.child.template FD`: FD is a socket on which the supervisor's process first says what to load, then asks
for runs, and whose end ends the template. It restarts (by ending) when a job file was saved.
"""

from __future__ import annotations

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
from app.catalog import Catalog, Job
from app.child import job as job_child
from app.child import lineage
from app.child.warden import guard, limit, rest, unwatch_children, watch_children
from app.config import Settings
from app.errors import RealtimeError

REQUEST_BYTES = 262_144
WATCH_SECONDS = 1.0
# What comes with a request: the warden's socket, the job's control socket, its stdout and stderr.
DESCRIPTORS = 4
CONTROL_FD = 3


class Template:
    """Forks a warden, with a job's process below it, for each request."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        options = json.loads(link.recv(REQUEST_BYTES))
        # Nothing is read from the environment or from files: what the settings hold in secret must not be here.
        settings = Settings.model_construct(jobs=tuple(options["jobs"]), environment=options["environment"])
        self._catalog = Catalog(settings, executors=options["executors"])
        self._wardens: set[int] = set()
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
        self._link.send(json.dumps({"ready": os.getpid()}).encode())
        while not self._catalog.stale():
            for source, _ in poll.poll(WATCH_SECONDS * 1000):
                if source == ended:
                    rest(ended)
                elif not self._answer():
                    return
            self._reap()

    def _answer(self) -> bool:
        try:
            request, descriptors, _, _ = socket.recv_fds(self._link, REQUEST_BYTES, DESCRIPTORS)
        except OSError:
            return False
        if not request:
            return False
        for each in descriptors:
            os.set_inheritable(each, False)
        try:
            self._link.send(json.dumps(self._spawn(json.loads(request), descriptors)).encode())
        finally:
            for each in descriptors:
                os.close(each)
        return True

    def _spawn(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        if self._catalog.stale():
            return {"stale": True}
        try:
            job = self._catalog.get(request["job"])
        except RealtimeError as error:
            return {"error": str(error)}
        chosen = {} if request.get("argv") else dataclasses.asdict(job.rules.limits)
        own = {name: value for name, value in chosen.items() if value is not None}
        limits = {**request["limits"], **own}
        warden = os.fork()
        if warden == 0:
            self._become_warden(request, job, limits, descriptors)
        self._wardens.add(warden)
        grace = request["grace"] if job.rules.grace is None else job.rules.grace
        facts = {"injected": sorted(job.injected), "is_async": job.is_async, "secrets": job.secrets}
        return {"warden": warden, "limits": limits, "grace": grace, **facts}

    def _become_warden(
        self, request: dict[str, Any], job: Job, limits: dict[str, float], descriptors: list[int]
    ) -> NoReturn:
        try:
            self._link.close()
            unwatch_children(self._ended)
            link = socket.socket(fileno=descriptors[0])
            guard(link, descriptors[1:], lambda: _become_job(request, job, limits, descriptors[1:]))
        finally:
            os._exit(1)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                process, _ = os.waitpid(-1, os.WNOHANG)
                if not process:
                    break
                if process in self._wardens:
                    self._wardens.discard(process)
                    self._end_strays()

    def _end_strays(self) -> None:
        """A warden that was killed leaves its run's processes to this one: they end with it."""
        for stray in set(lineage.children_of(os.getpid())) - self._wardens:
            lineage.kill_below(stray)
            with suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)


def _become_job(request: dict[str, Any], job: Job, limits: dict[str, float], descriptors: list[int]) -> NoReturn:
    """In the child: put its descriptors in their places, and run the job or another program.

    Those that job files have opened stay as they are.
    """
    control, out, err = descriptors
    for place, each in ((1, out), (2, err)):
        os.dup2(each, place)
        os.close(each)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        # Where memory ends, runs end before the store and the servers.
        file.write("500")
    argv = request.get("argv")
    if argv:
        # Such a program sets its own limits, and ends with what it runs: signals are for that.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.dup2(control, CONTROL_FD)
        os.set_inheritable(CONTROL_FD, True)
        os.chdir(request["cwd"])
        os.execve(argv[0], argv, request["env"])  # noqa: S606 - what the supervisor asks for
    limit(limits)
    job_child.main(socket.socket(fileno=control), job)


def main() -> None:
    """Load the jobs, and serve."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    capture.install()
    Template(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
