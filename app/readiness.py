"""Whether this web process is a good place for visitors: what `/readyz` says."""

from __future__ import annotations

from collections.abc import Callable

STOPPING = "the server is stopping"


class Readiness:
    """Asks each of `checks`, which answer with a reason against it, or with ""."""

    def __init__(self, *checks: Callable[[], str]) -> None:
        self._checks = checks
        self._stopping = False

    def reasons(self) -> list[str]:
        """Everything that speaks against it; nothing does where it is ready."""
        found = [STOPPING if self._stopping else "", *(check() for check in self._checks)]
        return [reason for reason in found if reason]

    def before_stop(self, shutdown: Callable[[float], object]) -> Callable[[float], object]:
        """`shutdown`, which from its beginning on is a reason."""

        def stop(seconds: float) -> object:
            self._stopping = True
            return shutdown(seconds)

        return stop
