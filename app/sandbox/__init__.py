"""The sandbox of typed code, from outside: which walls this machine grants, and how a process is put behind them.

What happens inside is app/inside. docs/sandbox.md says what each level keeps out.
"""

from app.sandbox.levels import Level
from app.sandbox.room import Room
from app.sandbox.sandbox import Sandbox

__all__ = ["Level", "Room", "Sandbox"]
