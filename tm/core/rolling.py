"""A rolling restart: one process of a task at a time, each up before the next has its turn.

Guarantees: values from what happens to rows to what follows for the roll; who has his turn is up again before the next
has it, and the first who does not get there ends it, with the others untouched; so does whoever else starts, stops or
restarts a process of the task meanwhile.
Leaves to others: asking for the restarts, and telling (`daemon.rolling`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from tm.core.process import Occurrence, Process
from tm.core.task import Task
from tm.core.transitions import Event

_WISHES: Final = (Event.START, Event.STOP, Event.RESTART)
_MARK: Final = ", rolling"


class Verdict(Enum):
    """What follows from something that happened to a process of the task."""

    WAIT = "nothing yet"
    NEXT = "the next one has its turn"
    FAILED = "it did not come up"
    TAKEN = "somebody else wants something else"


@dataclass(frozen=True, slots=True)
class Roll:
    """One of them. `todo`: the numbers of those that wait for their turn; `current`: who has it, with the `pid` that it
    had before; `carried`: it has been asked to restart.
    """

    task: str
    by: str
    todo: tuple[int, ...]
    current: int = 0
    pid: int | None = None
    carried: bool = False
    done: tuple[int, ...] = ()

    @property
    def mark(self) -> str:
        """On whose behalf it asks: its own wishes are told from all others by this."""
        return self.by + _MARK

    def turn(self, row: Process) -> Roll:
        """It is this one's turn."""
        todo = tuple(each for each in self.todo if each != row.n)
        return replace(self, todo=todo, current=row.n, pid=row.pid, carried=False)

    def through(self) -> Roll:
        """Who had its turn is up."""
        return replace(self, current=0, pid=None, carried=False, done=(*self.done, self.current))


def rolls(task: Task) -> bool:
    """Whether a reload restarts the instances of a task one after another: where they stand in for one another, which
    is so where they share sockets, or say when they are ready.
    """
    return task.instances > 1 and bool(task.sockets or task.readiness)


def order(rows: Iterable[Process]) -> tuple[int, ...]:
    """Who comes when: who is not up is missed by nobody; then as they are counted."""
    return tuple(row.n for row in sorted(rows, key=lambda row: (row.running, row.n)))


def judge(roll: Roll, what: Occurrence, after: Process) -> tuple[Roll, Verdict]:
    """Something happened to a process of the task."""
    if what.event in _WISHES and what.by != roll.mark:
        return roll, Verdict.TAKEN
    if after.n != roll.current:
        return roll, Verdict.WAIT
    if what.event in _WISHES:
        return replace(roll, carried=True), Verdict.WAIT
    return roll, standing(after) if roll.carried else Verdict.WAIT


def standing(row: Process) -> Verdict:
    """How far who has been asked to restart has come."""
    if row.running:
        return Verdict.NEXT
    return Verdict.FAILED if row.failing or row.at_rest else Verdict.WAIT


def resumed(roll: Roll, row: Process) -> tuple[Roll, Verdict | None]:
    """What another daemon has left, by how who had its turn stands now; None: it has yet to be asked to restart."""
    if row.pid == roll.pid and not row.stopping:
        return roll, None
    return replace(roll, carried=True), standing(row)


# ---- from and to JSON


def members(roll: Roll) -> dict[str, object]:
    """The roll as an object of JSON."""
    return {name: getattr(roll, name) for name in ("task", "by", "todo", "current", "pid", "carried", "done")}


def from_members(given: Mapping[str, Any]) -> Roll:
    """Read such an object. Raises TypeError, ValueError where it makes no sense."""
    roll = Roll(**given)
    numbers = (*roll.todo, *roll.done, roll.current, roll.pid or 0)
    if [type(each) for each in (roll.task, roll.by, *numbers)] != [str, str, *(int for _ in numbers)]:
        raise ValueError("no roll")
    return replace(roll, todo=tuple(roll.todo), done=tuple(roll.done))
