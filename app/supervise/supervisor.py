"""The supervisor of a process: it holds runs, from their claim to their final status, on any kind of node."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from app import garbage
from app.archiver import Archiver
from app.capture import PipeProcessor
from app.channel_writer import ChannelWriter
from app.config import Settings
from app.credentials import Credentials
from app.keys import load_keys
from app.lease import Leases
from app.model import Record, Run
from app.provider import Provider
from app.recorder import store_all
from app.stack import ThreadingStack
from app.store.archive import FolderArchive
from app.store.calls import KILL, STOP, Calls
from app.store.channels import ChannelStore
from app.store.connection import connect
from app.store.log import Log
from app.store.runs import Runs
from app.store.tokens import TokenStore
from app.supervise.kit import Kit
from app.supervise.news import News
from app.supervise.outputs import Outputs, Waits
from app.supervise.spawn import Command, Templates
from app.supervise.supervised import Supervised

logger = logging.getLogger(__name__)

VITAL_SECONDS = 2.0
VITAL_CONNECTIONS = 4
POLL_SECONDS = 0.02
STOPPED = "The server was stopped."


class Supervisor:
    """Supervises runs, each in the thread that calls `run`; other threads may do all the rest."""

    def __init__(self, kit: Kit, vital: Runs) -> None:
        self._kit, self._vital = kit, vital
        self._live: dict[str, Supervised] = {}

    def keep(self) -> None:
        """Renew leases and hear calls, beside the caller, for ever."""
        Leases(self._kit.stack, self._vital, self).keep()
        self._kit.stack.spawn(self._kit.calls.listen, self._hear)

    def prepare(self) -> None:
        """Have a template ready for the next run.

        Raises: SpawnFailed.
        """
        self._kit.templates.refresh()

    def run(self, run: Run, begun: Callable[[], object] = lambda: None) -> None:
        """Supervise a run that this process has claimed, until its final status is stored; `begun` once it is held."""
        supervised = self._live[run.id] = Supervised(run, self._kit)
        begun()
        try:
            supervised.work()
        finally:
            del self._live[run.id]

    @property
    def trouble(self) -> str | None:
        """Why the output of a run here waits to be stored, or None."""
        recorders = [each.recorder for each in list(self._live.values())]
        return next((each.trouble for each in recorders if each and each.trouble), None)

    def held(self) -> list[Run]:
        """As Holder.held."""
        return [each.run for each in list(self._live.values())]

    def stop(self, run_id: str, reason: str = "") -> None:
        """As Holder.stop."""
        found = self._live.get(run_id)
        if found:
            found.stop(reason)

    def kill(self, run_id: str, reason: str = "") -> None:
        """End a run without more patience; nothing happens where it is unknown or has ended."""
        found = self._live.get(run_id)
        if found:
            found.kill(reason)

    def _hear(self, run_id: str, what: str) -> None:
        """Somebody called for a run; "": for any."""
        if what == KILL:
            self.kill(run_id)
        elif what == STOP:
            self.stop(run_id)
        elif run_id:
            self._look_for_input([run_id])
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        mine = list(self._live)
        # Whoever listens asks again where the store cannot be asked.
        stop, kill = self._vital.asked_to_end(mine)
        for each in kill:
            self.kill(each)
        for each in stop:
            self.stop(each)
        self._look_for_input(mine)

    def _look_for_input(self, run_ids: list[str]) -> None:
        for each in run_ids:
            if found := self._live.get(each):
                found.look_for_input()

    def shutdown(self, seconds: float, reason: str = STOPPED) -> None:
        """Stop all runs, and come back when they have ended, at the latest after `seconds`, when they are killed."""
        deadline = time.monotonic() + seconds
        while self._live and time.monotonic() < deadline:
            # Again and again: one may have been on its way here.
            for each in list(self._live.values()):
                each.stop(reason)
            time.sleep(POLL_SECONDS)
        for each in list(self._live.values()):
            each.kill(reason)
        deadline = time.monotonic() + VITAL_SECONDS
        while self._live and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Start no more; the template ends."""
        self._kit.templates.close()


def make_supervisor(
    settings: Settings,
    node: str,
    commands: Mapping[str, Callable[[Run], Command]] | None = None,
) -> Supervisor:
    """A supervisor for this process; call it after the process was forked, once.

    Raises: ConfigError.
    """
    stack = ThreadingStack()
    client = connect(settings, stack)
    # On connections of their own: proofs of life wait for nobody.
    vital_client = connect(
        settings, stack, timeout=min(VITAL_SECONDS, settings.redis_timeout), connections=VITAL_CONNECTIONS
    )
    log = Log(settings, stack, node)
    archiver = Archiver(settings, stack, log, FolderArchive(settings.archive_folder))
    tokens = TokenStore(client, load_keys(settings).fernet)
    runs, waits = Runs(client), Waits()
    store: Callable[[list[tuple[Outputs, list[Record]]]], Sequence[bool | Exception]] = functools.partial(
        store_all, log
    )
    kit = Kit(
        settings=settings,
        stack=stack,
        runs=runs,
        log=log,
        archiver=archiver,
        credentials=Credentials(settings, stack, Provider(settings), tokens),
        calls=Calls(vital_client),
        channels=ChannelWriter(stack, ChannelStore(settings, stack, client)),
        news=News(runs),
        templates=Templates(settings),
        waits=waits,
        reader=PipeProcessor(stack, store, waits),
        commands=commands or {},
    )
    supervisor = Supervisor(kit, Runs(vital_client))
    supervisor.keep()
    garbage.settle()
    return supervisor
