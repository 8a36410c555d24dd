"""Rolling restarts: one process of a task after the other, each up before the next.

Guarantees: a task has one roll at most, and several tasks roll beside one another; a roll that ends before it is
through is told, in the event log, above the prompt and to every client that waits, with why and who was left as it is;
a daemon that follows another one by the same guardian goes on with its rolls. Where both have died they are given up.
Leaves to others: what follows from what (`core.rolling`), and the restarts (`daemon.supervisor`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from tm.core.effects import Send
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.core.report import cause
from tm.core.rolling import Roll, Verdict, from_members, judge, members, order, resumed, rolls
from tm.core.transitions import Event, Refused
from tm.daemon.answers import Answer, failed
from tm.daemon.supervisor import Supervisor
from tm.daemon.ward import Ward
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog
from tm.edge.hall import in_memory
from tm.edge.loop import Loop

_KEPT: Final = "rolling"
_NAMED: Final = 10


class Rolling:
    """All of them. `tell` hears what an operator should know; `on_spared` of a process that was to have its turn and is
    left as it is, with why.
    """

    def __init__(self, loop: Loop, supervisor: Supervisor, log: EventLog, ward: Ward) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._log = log
        self._ward = ward
        self._rolls: dict[str, Roll] = {}
        self._left = _read(ward.kept.get(_KEPT))
        self.tell: Callable[[str], None] = lambda text: None
        self.on_spared: Callable[[Process, str], None] = lambda row, why: None
        supervisor.cycle = self.cycle

    def asked(self, rows: Sequence[Process], by: str) -> Answer:
        """Restart these, task by task. Nothing is done where one of the tasks rolls already."""
        by_task = _by_task(rows)
        if under_way := [name for name in by_task if name in self._rolls]:
            roll = self._rolls[under_way[0]]
            return failed(
                f"A rolling restart of '{roll.task}' is under way, {self._names(roll.todo, roll.task)} to go. "
                "Wait for it, or end it by any other start, stop or restart of the task."
            )
        for name, each in by_task.items():
            self._begin(Roll(name, by, order(each)))
        return Answer((), {"refused": [], "asked": [row.name for row in rows], "rolling": list(by_task)})

    def cycle(self, keys: Sequence[Key], by: str) -> None:
        """The configuration wants these restarted, on behalf of `by`: one after another where their task is for it."""
        for name, those in _by_task([self._supervisor.rows[key] for key in keys]).items():
            if name in self._left:  # a daemon before us had begun: that goes on, with these
                roll = self._left[name]
                more = tuple(n for n in order(those) if n not in (*roll.todo, roll.current))
                self._left[name] = Roll(name, roll.by, (*roll.todo, *more), roll.current, roll.pid, roll.carried)
            elif rolls(those[0].task):
                if name in self._rolls:
                    self._end(self._rolls[name], f"the configuration has changed again, by {by}", quiet=True)
                self._begin(Roll(name, by, order(those)))
            else:
                for row in those:
                    self._supervisor.ask((name, row.n), Event.RESTART, by=by)

    def resume(self) -> None:
        """Everything is as the daemon before has left it: go on with its rolls."""
        left, self._left = self._left, {}
        for name, roll in left.items():
            row = self._supervisor.rows.get((name, roll.current))
            self._rolls[name] = roll
            self._say(Level.INFO, name, "goes on, which an earlier daemon had begun")
            if row is None:
                self._later(name)
                continue
            self._rolls[name], verdict = resumed(roll, row)
            if verdict is None:
                self._ask(self._rolls[name], row)
            else:
                self._follow(self._rolls[name], verdict, row, "")
        self._keep()

    def observe(self, _before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the rows."""
        if (roll := self._rolls.get(after.task.name)) is None:
            return
        if not self._supervisor.keeps((roll.task, after.n)):  # it is just being removed, which is nobody's wish for it
            self._skip(roll, after)
        else:
            self._rolls[roll.task], verdict = judge(roll, what, after)
            self._follow(self._rolls[roll.task], verdict, after, f"{what.event.value} of '{after.name}' by {what.by}")

    def dropped(self, row: Process) -> None:
        """It is gone for good."""
        if (roll := self._rolls.get(row.task.name)) is not None:
            self._skip(roll, row)

    def _begin(self, roll: Roll) -> None:
        self._rolls[roll.task] = roll
        self._say(Level.INFO, roll.task, f"of {self._names(roll.todo, roll.task)} begins, by {roll.by}")
        self._next(roll.task)

    def _follow(self, roll: Roll, verdict: Verdict, row: Process, wish: str) -> None:
        match verdict:
            case Verdict.NEXT:
                self._rolls[roll.task] = roll.through()
                self._later(roll.task)
            case Verdict.FAILED:
                why = "" if row.alive else f": {cause(row)}"
                self._end(roll, f"'{row.name}' is {row.state.value}{why}")
            case Verdict.TAKEN:
                self._end(roll, wish)
            case Verdict.WAIT:
                pass

    def _skip(self, roll: Roll, row: Process) -> None:
        """It goes, and has no turn."""
        if roll.current == row.n:
            self._rolls[roll.task] = replace(roll, current=0)
            self._later(roll.task)

    def _later(self, task: str) -> None:
        """Nothing is asked for within a step."""
        self._loop.soon(partial(self._next, task))

    def _next(self, task: str) -> None:
        """Who is there and has not had its turn yet has it."""
        if (roll := self._rolls.get(task)) is None:
            return
        rows = ((n, self._supervisor.rows.get((task, n))) for n in roll.todo)
        there = next((row for n, row in rows if row is not None and self._supervisor.keeps((task, n))), None)
        if there is None:
            del self._rolls[task]
            self._say(Level.INFO, task, f"is through: {len(roll.done)} process(es)")
            self._keep()
            return
        self._rolls[task] = roll = roll.turn(there)
        self._keep()  # before it is asked for: the next daemon looks whether that was carried out
        self._ask(roll, there)

    def _ask(self, roll: Roll, row: Process) -> None:
        self._supervisor.ask((roll.task, row.n), Event.RESTART, partial(self._answered, roll.task), roll.mark)

    def _answered(self, task: str, _row: Process, refused: Refused | None) -> None:
        if refused is not None:
            self._later(task)

    def _end(self, roll: Roll, why: str, quiet: bool = False) -> None:
        """Before it is through."""
        del self._rolls[roll.task]
        self._keep()
        rows = [self._supervisor.rows.get((roll.task, n)) for n in roll.todo]
        names = f"; left as they are: {self._names(roll.todo, roll.task)}" if roll.todo else ""
        self._say(Level.WARNING, roll.task, f"has ended: {why}{names}")
        if quiet:
            return
        self.tell(f"The rolling restart of '{roll.task}' has ended: {why}{names}")
        for row in rows:
            if row is not None:
                self.on_spared(row, why)

    def _names(self, numbers: Iterable[int], task: str) -> str:
        rows = [self._supervisor.rows.get((task, n)) for n in numbers]
        names = [row.name for row in rows if row is not None]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return ", ".join(names[:_NAMED]) + more if names else "none"

    def _say(self, level: Level, task: str, text: str) -> None:
        self._log.write(level, task, "rolling", f"rolling restart {text}")

    def _keep(self) -> None:
        """Have the guardian keep how things stand; where there is no room for it the next daemon gives them up."""
        if not self._ward.lasting:
            return
        content = json.dumps([members(each) for each in self._rolls.values()])
        try:
            fresh = in_memory(content.encode("ascii")) if self._rolls else None
        except OSError:
            fresh = None
        if fresh is None:
            self._ward.discard(_KEPT)
        else:
            self._ward.exchange(_KEPT, fresh)


def _by_task(rows: Iterable[Process]) -> dict[str, list[Process]]:
    found: dict[str, list[Process]] = {}
    for row in rows:
        found.setdefault(row.task.name, []).append(row)
    return found


def _read(fd: int | None) -> dict[str, Roll]:
    """What an earlier daemon has left; nothing where that makes no sense here, as what another version has written."""
    if fd is None:
        return {}
    try:
        content = os.pread(fd, os.fstat(fd).st_size, 0)
        given: list[Mapping[str, object]] = json.loads(content)
        return {roll.task: roll for roll in map(from_members, given)}
    except (OSError, ValueError, TypeError):
        return {}
