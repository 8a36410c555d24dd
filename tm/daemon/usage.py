"""What a process uses together with its descendants, as people see it.

Guarantees: one look at the processes of the machine serves all rows; whoever descends from a process counts with it,
and whoever is in its session. CPU is a percentage of one CPU over the whole life of the process, as in ps(1), and the
seconds behind it; memory is the sum of resident sizes.
Leaves to others: the look (`edge.procfs`), and who is in a tree that signals go to (`daemon.reach`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

from tm.core.age import aged_at
from tm.core.lines import plain
from tm.core.process import Process
from tm.core.report import size, uptime
from tm.core.timers import Instant
from tm.daemon.reach import Way
from tm.edge import procfs

Sessions: TypeAlias = Mapping[int, Sequence[procfs.Stat]]
_COMMAND_WIDTH = 100


class Usage:
    """By one look. `way` tells how a tree is reached."""

    def __init__(self, sessions: Sessions, way: Callable[[Process], Way | None] = lambda row: None) -> None:
        self._sessions = sessions
        self._way = way

    def text(self, row: Process, now: Instant) -> str:
        """`CPU 0.3% (1.25s)  Mem 12.5MiB`."""
        return "CPU -  Mem -" if row.pid is None else self._text(row, self._members(row), now)

    def facts(self, row: Process, now: Instant) -> dict[str, object]:
        """The same for programs; None where it does not live."""
        if row.pid is None:
            return {"cpu_percent": None, "cpu_s": None, "memory_bytes": None}
        members = self._members(row)
        cpu_s = _cpu_s(members)
        percent = round(_percent(row, cpu_s, now), 1)
        return {"cpu_percent": percent, "cpu_s": round(cpu_s, 2), "memory_bytes": _memory(members)}

    def lines(self, row: Process, now: Instant) -> list[str]:
        """Each process of it below its parent, what they use together, and what it may use."""
        way = self._way(row)
        members = self._members(row, way)
        lines = [] if way is None else [f"  killMode tree, {way.text}"]
        lines += ["  processes", *([f"    {line}" for line in _tree(members)] or ["    none"])]
        if len(members) > 1:
            lines.append(f"    together {self._text(row, members, now)}")
        if row.pid is not None and row.task.memory_max_bytes is not None:
            lines.append(
                f"    memoryMax: {size(row.task.memory_max_bytes)}, of which {size(_memory(members))} are used"
            )
        if (then := aged_at(row)) is not None:
            lines.append(f"    maxAge: restarted in {uptime(then - now)}")
        return lines

    def _text(self, row: Process, members: Sequence[procfs.Stat], now: Instant) -> str:
        cpu_s = _cpu_s(members)
        return f"CPU {_percent(row, cpu_s, now):.1f}% ({cpu_s:.2f}s)  Mem {size(_memory(members))}"

    def _members(self, row: Process, way: Way | None = None) -> list[procfs.Stat]:
        """A process and its descendants, by pid."""
        if row.pid is None:
            return []
        todo = [each.pid for each in self._sessions.get(row.pid, ())]
        todo += way.pids if way is not None and way.pids is not None else ()
        members: set[int] = set()
        while todo:
            pid = todo.pop()
            if pid in self._by_pid and pid not in members:
                members.add(pid)
                todo += self._children.get(pid, ())
        return [self._by_pid[pid] for pid in sorted(members)]

    @cached_property
    def _by_pid(self) -> dict[int, procfs.Stat]:
        return {each.pid: each for members in self._sessions.values() for each in members}

    @cached_property
    def _children(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for each in self._by_pid.values():
            found.setdefault(each.parent, []).append(each.pid)
        return found


def _cpu_s(members: Sequence[procfs.Stat]) -> float:
    return sum(each.cpu_s for each in members)


def _memory(members: Sequence[procfs.Stat]) -> int:
    return sum(each.rss_bytes for each in members)


def _percent(row: Process, cpu_s: float, now: Instant) -> float:
    """Of one CPU, since it was started."""
    lived_s = now - row.spawned_at if row.spawned_at is not None else 0.0
    return 100 * cpu_s / lived_s if lived_s > 0 else 0.0


def _tree(members: Sequence[procfs.Stat]) -> list[str]:
    """Children below their parents."""
    by_parent: dict[int, list[procfs.Stat]] = {}
    known = {each.pid for each in members}
    for each in members:
        by_parent.setdefault(each.parent if each.parent in known else 0, []).append(each)
    lines: list[str] = []
    todo = [(each, 0) for each in reversed(by_parent.get(0, []))]
    while todo:
        each, depth = todo.pop()
        command = plain(procfs.command(each))[:_COMMAND_WIDTH]
        lines.append(f"{'  ' * depth}{each.pid} {each.state} {each.cpu_s:.2f}s {size(each.rss_bytes)} {command}")
        todo += [(child, depth + 1) for child in reversed(by_parent.get(each.pid, []))]
    return lines
