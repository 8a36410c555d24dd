"""Deadlines of runs: a process that has lived longer than its task allows is ended.

Guarantees: the time counts from its spawn, also over a kill of the daemon, and follows a reload; it is monotonic, and
so no clock that is set ends anything.
Leaves to others: the ending, which is that of any fault (`core.transitions`).
"""

from __future__ import annotations

from tm.core.process import Process
from tm.core.report import uptime
from tm.core.timers import Instant
from tm.core.transitions import Event
from tm.daemon.row_timers import RowTimers
from tm.daemon.supervisor import Supervisor
from tm.daemon.wiring import Key
from tm.edge.loop import Loop


class Deadlines:
    """Those of all rows."""

    def __init__(self, loop: Loop, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._timers = RowTimers(loop, self._over)

    def look_at(self, row: Process) -> None:
        """It has changed, or its task has."""
        limit_s, begun = row.task.deadline_s, row.spawned_at
        due = limit_s is not None and begun is not None and row.pid is not None and not row.stopping
        self._timers.arm((row.task.name, row.n), Instant(begun + limit_s) if due and begun and limit_s else None)

    def _over(self, key: Key) -> None:
        row = self._supervisor.rows.get(key)
        if row is not None and row.pid is not None and row.task.deadline_s is not None:
            text = f"its deadline of {_span(row.task.deadline_s)} is over"
            self._supervisor.found(row.pid, Event.UNHEALTHY, text)


def _span(seconds: float) -> str:
    return uptime(seconds) if seconds >= 1 and seconds == int(seconds) else f"{seconds:g}s"
