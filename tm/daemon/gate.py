"""What a start, and a stop signal, may have to wait for, as the supervisor sees it.

Guarantees: whoever is asked answers at once, and tells the supervisor later (`Supervisor.proceed`).
Leaves to others: what that is (`daemon.hooks`).
"""

from __future__ import annotations

from typing import Final, Protocol

from tm.core.process import Process


class Gate(Protocol):
    """Asked about every start, and about stop signals that are held back."""

    def before_start(self, row: Process) -> bool:
        """Whether the start of the process has to wait. One that it waits for already is given up."""
        ...

    def before_stop(self, row: Process) -> None:
        """Its stop signal is held back until the supervisor is told, at most as long as the row says."""
        ...


class _Open:
    """Nothing waits."""

    def before_start(self, row: Process) -> bool:
        """No."""
        return False

    def before_stop(self, row: Process) -> None:
        """Its deadline will come."""


OPEN: Final[Gate] = _Open()
