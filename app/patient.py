"""Sockets whose time does not run while nobody could have heard: for an event loop that is held up now and then."""

from __future__ import annotations

import time
import types
from typing import Any

# The hub is late by less than this all the time.
HELD_UP_SECONDS = 0.05


def with_patience(library: types.ModuleType) -> types.ModuleType:
    """The library's green `socket` module, with sockets that look once more where the hub was held up.

    A hub that could not turn for seconds, such as on a machine that stood still, lets timers go off before it looks at
    what has come: each command that was on its way would have run out of time, with its answer lying there.
    """

    class Patient(library.socket):  # type: ignore[misc,name-defined] # it is the library's
        def _trampoline(
            self, fd: Any, read: bool = False, write: bool = False, timeout: Any = None, timeout_exc: Any = None
        ) -> Any:
            began = time.monotonic()
            try:
                return super()._trampoline(fd, read, write, timeout, timeout_exc)
            except TimeoutError:
                late = time.monotonic() - began - timeout
                if late < HELD_UP_SECONDS:
                    raise
            return super()._trampoline(fd, read, write, late, timeout_exc)

    patient = types.ModuleType(library.__name__)
    vars(patient).update({**vars(library), "socket": Patient, "SocketType": Patient})
    return patient
