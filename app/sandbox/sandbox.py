"""Which level this machine grants, found by trying it; and rooms for runs at that level."""

from __future__ import annotations

import os
import secrets
import shutil
import sys

from app.config import Settings
from app.errors import SandboxRefused
from app.sandbox import folder, probe, room
from app.sandbox.levels import Level, refusal
from app.sandbox.room import Needs, Room
from app.sandbox.view import make_view

# User numbers that nothing else takes: above those of containers, below what some programs read as negative.
RUN_USERS = range(1_900_000_000, 1_900_000_000 + (1 << 24))


class Sandbox:
    """Made once in each process that starts typed code; it starts a few processes to see what the kernel grants."""

    def __init__(self, settings: Settings) -> None:
        for owners in ((os.geteuid(),), RUN_USERS):
            folder.sweep(owners)
        self._settings = settings
        self._view = make_view(settings)
        self.minimum = Level(settings.sandbox_minimum)
        self.reasons: dict[Level, str] = {}
        self.level = self._reach(Level.FULL if settings.sandbox == "auto" else Level(settings.sandbox))

    @property
    def report(self) -> str:
        """Which level is reached, and why none above it, for the log."""
        told = ", ".join(f"{level}: {reason}" for level, reason in self.reasons.items())
        report = f"typed code: level `{self.level}` is reached (SANDBOX_MINIMUM is `{self.minimum}`)"
        return f"{report}; not reached: {told}" if told else report

    @property
    def enough(self) -> bool:
        """True where typed code may run here."""
        return self.level.strength >= self.minimum.strength

    @property
    def refusal(self) -> str:
        """Why typed code does not run here, for people; empty where it does."""
        return "" if self.enough else refusal(self.level, self.minimum)

    def room(self) -> Room:
        """A place for one run.

        Raises: SandboxRefused, also where its folder cannot be made.
        """
        if not self.enough:
            raise SandboxRefused(self.refusal)
        try:
            return self._room(self.level)
        except OSError as error:
            raise SandboxRefused(f"There is no folder for this run: {error.strerror}.") from None

    def _room(self, level: Level) -> Room:
        settings = self._settings
        needs = Needs(
            level=level,
            view=self._view,
            python=sys.executable,
            bwrap=shutil.which("bwrap") or "",
            network=settings.code_network == "on",
            memory_megabytes=settings.code_memory_megabytes,
            disk_megabytes=settings.code_disk_megabytes,
            seconds=settings.code_seconds,
            cpu_seconds=settings.code_cpu_seconds,
            processes=settings.code_processes,
        )
        return room.make_room(needs, self._user(level))

    def _user(self, level: Level) -> int:
        """A user of the run's own, where the server may take one and the interpreter can be read by it."""
        if os.geteuid() or (level in (Level.LIMITS, Level.NONE) and not self._view.reachable):
            return 0
        return secrets.choice(RUN_USERS)

    def _reach(self, wanted: Level) -> Level:
        for level in wanted.down():
            reason = self._why_not(level)
            if not reason:
                return level
            self.reasons[level] = reason
        return Level.NONE

    def _why_not(self, level: Level) -> str:
        if level is Level.NONE:
            return ""
        if level is Level.FULL and not shutil.which("bwrap"):
            return "the program bwrap (bubblewrap) is not installed"
        if level is Level.LANDLOCK and self._view.hidden:
            return "files of the server's own lie in a folder that Python needs"
        try:
            made = self._room(level)
        except OSError as error:
            return f"no folder for a run can be made: {error.strerror}"
        try:
            return probe.why_not(made, level, network=self._settings.code_network == "on")
        finally:
            made.cleanup()
