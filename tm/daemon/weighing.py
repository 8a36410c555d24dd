"""How much memory the tasks use that may not use more than `memoryMax`.

The kernel would tell of a cgroup that has used up its memory, but by ending what is in it, without a grace, and counts
pages of files as well, which are nobody's loss. So whoever has the key is looked at (docs/decisions/0027): in his
cgroup, where the kernel counts its memory, else in /proc.

Guarantees: nobody is looked at while no such task lives; looks take a hundredth of the time at most, each in small
steps; a process is judged only if it is the one that was looked at.
Leaves to others: the looks (`daemon.reach`, `edge.census`), what follows for one that is too big (`core.transitions`).
"""

from __future__ import annotations

from typing import Final

from tm.core.process import Process
from tm.core.report import size
from tm.core.transitions import Event
from tm.daemon.reach import Reach
from tm.daemon.supervisor import Supervisor
from tm.edge import cgroup
from tm.edge.census import Census, trees
from tm.edge.loop import Loop

EVERY_S: Final = 2.0
_REST: Final = 100
"""How many times as long as a look took nobody is looked at."""


class Weighing:
    """Looks while there is somebody to look at."""

    def __init__(self, loop: Loop, supervisor: Supervisor, reach: Reach) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._reach = reach
        self._goes_on = False
        self._took_s = 0.0

    def go_on(self) -> None:
        """There is somebody to look at."""
        if not self._goes_on:
            self._goes_on = True
            self._rest()

    def _rest(self) -> None:
        self._loop.call_in(max(EVERY_S, _REST * self._took_s), self._begin)

    def _begin(self) -> None:
        self._took_s = 0.0
        limited = self._limited()
        self._goes_on = bool(limited)
        uncounted = {pid for pid, row in limited.items() if not self._is_counted(pid, row)}
        if uncounted:
            self._look(Census(), uncounted)
        elif limited:
            self._rest()

    def _limited(self) -> dict[int, Process]:
        rows = self._supervisor.rows.values()
        limited = (row for row in rows if row.task.memory_max_bytes is not None and not row.stopping)
        return {row.pid: row for row in limited if row.pid is not None}

    def _is_counted(self, pid: int, row: Process) -> bool:
        """Whether the kernel knows what its tree has; by that it is judged then."""
        began = self._loop.sample()
        path = self._reach.cgroup_of(pid)
        weight = cgroup.memory(path) if path else None
        self._took_s += self._loop.sample() - began
        if weight is not None:
            self._judge(pid, row, weight)
        return weight is not None

    def _look(self, census: Census, pids: set[int]) -> None:
        began = self._loop.sample()
        more = census.step()
        self._took_s += self._loop.sample() - began
        if more:
            self._loop.soon(lambda: self._look(census, pids))
        else:
            self._judge_all(census, pids)
            self._rest()

    def _judge_all(self, census: Census, pids: set[int]) -> None:
        """Those that were there when the look began, and still are."""
        limited = {pid: row for pid, row in self._limited().items() if pid in pids}
        weights = trees(census.seen, {pid: self._members(pid) for pid in limited})
        for pid, weight in weights.items():
            self._judge(pid, limited[pid], weight)

    def _members(self, pid: int) -> set[int]:
        """Who is in its tree for certain."""
        path = self._reach.cgroup_of(pid)
        return set(cgroup.members(path)) if path else set()

    def _judge(self, pid: int, row: Process, weight: int) -> None:
        most = row.task.memory_max_bytes
        if most is not None and weight > most:
            text = f"memoryMax: {size(weight)} is over the {size(most)} allowed"
            self._supervisor.found(pid, Event.UNHEALTHY, text)
