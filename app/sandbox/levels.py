"""The levels of isolation, by name; each has what those before it have."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How far typed code is kept from everything else; the order is that of strength."""

    NONE = "none"
    LIMITS = "limits"
    LANDLOCK = "landlock"
    FULL = "full"

    @property
    def strength(self) -> int:
        """From 0 on."""
        return list(Level).index(self)

    @property
    def sentence(self) -> str:
        """What it means, for people."""
        return SENTENCES[self]

    def down(self) -> list[Level]:
        """The level and the weaker ones, strongest first."""
        return [level for level in reversed(Level) if level.strength <= self.strength]


SENTENCES = {
    Level.NONE: "Typed code is not kept from anything: it can do what the server can do.",
    Level.LIMITS: "Typed code has limits and a folder of its own, but can read and reach what the server can.",
    Level.LANDLOCK: "Typed code sees Python and a folder of its own; the kernel (Landlock, seccomp) refuses the rest.",
    Level.FULL: "Typed code sees Python and a folder of its own; other files, processes and networks are not there.",
}


def refusal(level: Level, minimum: Level) -> str:
    """Why typed code is refused at this level, for people."""
    return (
        f"Typed code is switched off: it is isolated at level `{level}` only here, and SANDBOX_MINIMUM asks for "
        f"`{minimum}`. The documentation of the sandbox says what is missing."
    )
