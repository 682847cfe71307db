"""The console: what people and programs can do with jobs and runs; every door ends in one of these calls."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from app import audit, rights
from app.catalog import Catalog, Job
from app.dispatch import Dispatcher, queue_of
from app.errors import (
    BadRequest,
    Forbidden,
    KeyReused,
    LoginRequired,
    NotFound,
    NotWaiting,
    ServerStopping,
    StoreUnavailable,
)
from app.executors.base import Executor
from app.extract import Extract, read_pieces
from app.feed import Piece
from app.follow import Followers
from app.found import Found
from app.health import Health
from app.lookup import Gone, Lookup, Place
from app.matching import Query
from app.model import Admission, Run, Status, User, new_id
from app.output import Output
from app.rights import Action
from app.stack import Stack
from app.starts import Starts
from app.store.calls import Calls
from app.store.runs import Bounds, Runs
from app.turns import Turns
from app.typed import JOB, Typed
from app.viewer import Viewer

RUN_ID = re.compile(r"[A-Za-z0-9_-]{22}")
KEY_LENGTH = 128


class Console:
    """The use cases; raises the errors of app.errors, whose texts are for people."""

    def __init__(
        self,
        *,
        stack: Stack,
        catalog: Catalog,
        executors: Mapping[str, Executor],
        dispatcher: Dispatcher,
        turns: Turns,
        bounds: Bounds,
        user_runs: int,
        runs: Runs,
        calls: Calls,
        typed: Typed,
        output: Output,
        lookup: Lookup,
        followers: Followers,
        health: Health,
        node: str,
    ) -> None:
        self._stack, self._catalog, self._node = stack, catalog, node
        self._dispatcher, self._turns, self._user_runs = dispatcher, turns, user_runs
        self._starts = Starts(stack, executors, dispatcher, runs, bounds=bounds, node=node)
        self._runs, self._stored, self._followers = runs, output, followers
        self._lookup, self._calls, self._typed = lookup, calls, typed
        self._health, self._closing = health, False

    def jobs(self, user: User | None) -> list[Job]:
        """The catalogue."""
        rights.require(user, Action.LIST_JOBS)
        self._refresh()
        return self._catalog.jobs()

    def _refresh(self) -> None:
        if self._catalog.stale():
            self._stack.call_in_thread(self._catalog.refresh)

    def job(self, user: User | None, name: str) -> Job:
        """One job, a broken one too.

        Raises: NotFound.
        """
        for job in self.jobs(user):
            if job.name == name:
                return job
        raise NotFound("There is no such job.")

    def start(self, user: User | None, name: str | None, params: Mapping[str, object], key: str | None = None) -> Run:
        """Start a job; None: the example. The same `key` by the same user is the same run.

        Raises: NotFound, JobBroken, InvalidParameters, KeyReused, TooMany, StoreUnavailable, ServerStopping; Forbidden,
        SandboxRefused.
        """
        user = rights.require(user, Action.START)
        if self._closing:
            raise ServerStopping("The server is stopping. Please press Start again when it is back.")
        self._health.check()
        if key is not None and not 0 < len(key) <= KEY_LENGTH:
            raise BadRequest(f"key: a text of 1 to {KEY_LENGTH} characters")
        self._refresh()
        job = self._catalog.example if name is None else self._catalog.get(name)
        if job.name == JOB:
            self._typed.require(user)
            self._typed.require_walls()
        values = job.parse(params)
        run = Run(
            id=new_id(),
            job=job.name,
            title=job.title,
            user=user,
            status=Status.QUEUED,
            created=time.time(),
            executor=job.executor,
            params=job.to_json(values),
            queue=queue_of(job.executor, job.rules, self._node),
            job_limit=job.rules.at_once,
            user_limit=self._user_runs,
        )
        stored = self._starts.store(run, job, values, key)
        if stored.id == run.id:
            audit.start(user.id, run.id, job.name, params)
            self._starts.begin(stored, key)
        elif (stored.job, stored.params) != (run.job, run.params):
            raise KeyReused("This key was used before, for another start: take a new one.")
        return stored

    def close(self) -> None:
        """Start no more runs."""
        self._closing = True

    def stop(self, user: User | None, run_id: str, admission: Admission | None = None) -> Run:
        """Ask a run to stop; one that has ended stays as it is.

        An `admission` is looked after in the same step, but not where the store is away.

        Raises: NotFound, LoginRequired; StoreUnavailable where the run is not here.
        """
        run, here = self._own(user, Action.STOP, run_id), self._dispatcher.local(run_id) is not None
        try:
            with _admitted(run, audit.stop, lambda: self._dispatcher.stop(run_id)):
                changes = self._runs.ask_to_stop(run_id, admission)
        except StoreUnavailable:
            if not here:
                raise
            changes = {"status": Status.STOPPING}
        return replace(run, **changes) if changes else self._runs.get(run_id) or run

    def kill(self, user: User | None, run_id: str, admission: Admission | None = None) -> Run:
        """End a run at once, without the stages of Stop; one that has ended stays as it is. `admission`: as for `stop`.

        Raises: NotFound, LoginRequired, StoreUnavailable; Forbidden for a thread run, which cannot be killed.
        """
        run = self._own(user, Action.STOP, run_id)
        if run.executor == "thread":
            raise Forbidden("A run in a thread cannot be killed. Press Stop: it is asked, then interrupted.")
        with _admitted(run, audit.kill):
            changes = self._runs.ask_to_kill(run_id, admission)
        return replace(run, **changes) if changes else self._runs.get(run_id) or run

    def give_input(self, user: User | None, run_id: str, line: str | None) -> Run:
        """Hand a line, without its end, to a run that asks for one, or will; None: there are no more.

        Raises: NotFound, NotWaiting, TooMany, StoreUnavailable; Forbidden.
        """
        run = self._own(user, Action.INPUT, run_id, local=False)
        if run.job == JOB:
            self._typed.require(run.user)
        if run.status.final or run.executor == "thread":
            raise NotWaiting("This run reads no input.")
        audit.typed(run.user.id, run_id, run.job)
        self._calls.give_input(run_id, None if line is None else f"{line}\n")
        return run

    def run(self, user: User | None, run_id: str) -> Run:
        """One run of the user's."""
        return self._own(user, Action.WATCH, run_id, local=False)

    def runs(
        self, user: User | None, job: str | None = None, limit: int = 50, before: float | None = None
    ) -> list[Run]:
        """The user's runs, newest first; of one job only where `job` is given."""
        user = rights.require(user, Action.LIST_RUNS)
        found: list[Run] = []
        while len(found) < limit:
            page = self._runs.of_user(user.id, limit, before)
            found += [run for run in page if job is None or run.job == job]
            if len(page) < limit:
                break
            before = page[-1].created
        return found[:limit]

    def watch(
        self,
        user: User | None,
        run: str | Run,
        place: Place,
        *,
        send_output: Callable[[Piece], object],
        send_status: Callable[[Run], object],
        send_behind: Callable[[int], object],
        send_queue: Callable[[dict[str, Any]], object],
        has_room: Callable[[], bool],
        window: int | None,
        keep: Callable[[Viewer], object] = lambda _: None,
    ) -> tuple[Run, Viewer, tuple[int, int]]:
        """Send a run's output from a place on, and its status, until its end or the viewer's; a run or its id.

        `send_queue` gets its turn in the queue for as long as it waits, as turns.as_dict. `keep` gets the viewer
        before anything is sent to it, which may be acknowledged at once.
        Answers also the position of the place, and the number of its line.
        """
        if isinstance(run, str):
            found = self.run(user, run)
        else:
            found = run
            rights.require(user, Action.WATCH, found)
        after = self._lookup.position(found, place)
        line = self._lookup.line(found, after)
        signal = self._stack.signal()
        viewer = Viewer(found.id, after, send_output, send_status, send_behind, has_room, window, signal, run=found)
        keep(viewer)
        self._followers.watch(viewer)
        if found.status is Status.QUEUED:
            self._turns.watch(found, viewer, send_queue)
        return found, viewer, (after, line)

    def search(
        self,
        user: User | None,
        run_id: str,
        query: Query,
        *,
        after: int | None,
        backwards: bool,
        limit: int,
        gone: Gone,
    ) -> Found:
        """Lines of a run's output that match, as Lookup.search has it."""
        run = self._own(user, Action.WATCH, run_id, local=False)
        return self._lookup.search(run, query, after=after, backwards=backwards, limit=limit, gone=gone)

    def read(self, user: User | None, run_id: str, place: Place, most: int) -> tuple[Run, int, list[Piece]]:
        """Up to `most` bytes of a run's output from a place on, as far as it is stored; the run, and where that is."""
        run = self._own(user, Action.WATCH, run_id, local=False)
        start = self._lookup.position(run, place)
        return run, start, read_pieces(self._stored, run, start, most)

    def extract(self, user: User | None, run_id: str, place: Place) -> Extract:
        """A run's output from a place on, as it is stored now."""
        run = self._own(user, Action.DOWNLOAD, run_id, local=False)
        audit.download(user.id if user else "", run_id, run.job)
        return Extract(self._stack, self._stored, run, self._lookup.position(run, place))

    def _own(self, user: User | None, action: Action, run_id: str, *, local: bool = True) -> Run:
        run = None
        if not RUN_ID.fullmatch(run_id):
            rights.require(user, action)
            raise NotFound("There is no such run.")
        if local:
            # Whose it is never changes: what is known here is asked to stop sooner, and even while the store is away.
            run = self._dispatcher.local(run_id) or self._followers.known(run_id)
        if run is None:
            run = self._runs.get(run_id)
        if run is None:
            rights.require(user, action)
            raise NotFound("There is no such run.")
        rights.require(user, action, run)
        return run


@contextlib.contextmanager
def _admitted(
    run: Run, record: Callable[[str, str, str], object], first: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """What a caller asks for within is recorded afterwards, whether it is stored or not, unless it is refused."""
    refused = False
    try:
        yield
    except LoginRequired:
        refused = True
        audit.denied("login_required", run=run.id)
        raise
    finally:
        if not refused:
            first()
            record(run.user.id, run.id, run.job)
