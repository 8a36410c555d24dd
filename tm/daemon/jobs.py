"""Jobs: the runs of what is oneshot, put on record and shown; with the ticks of schedules, and deadlines.

Guarantees: the last runs of each instance outlast the daemon, in the file `runs` of its state directory; a run that
went on while a daemon was killed is one run. A file that cannot be written is told once, and holds up nothing.
Leaves to others: what is on record (`core.runs`), when it is time (`daemon.ticks`), the table (`core.transitions`).
A daemon none of whose tasks has one of these keys never imports this.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import NamedTuple

from tm.core.config import Config
from tm.core.effects import Send
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.core.runs import Begun, Run, Runs, as_data, last_text, next_text, run_line, stamp
from tm.core.task import Task
from tm.core.transitions import Event
from tm.daemon.deadlines import Deadlines
from tm.daemon.reloading import Reloading
from tm.daemon.supervisor import Supervisor
from tm.daemon.ticks import Rules, Ticks
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop
from tm.edge.runs_file import RunsFile
from tm.edge.wall_clock import WallClock
from tm.edge.zones import zone

FILE = "runs"


class Parts(NamedTuple):
    """Whom jobs concern. `leaving`: the daemon starts nothing any more; `by`: who wanted the last change of a row."""

    loop: Loop
    supervisor: Supervisor
    reloading: Reloading
    log: EventLog
    leaving: Callable[[], bool]
    by: Callable[[Key], str]


class Jobs:
    """An observer of the rows."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._file = RunsFile(os.path.join(parts.reloading.state, FILE))
        self._clock = WallClock(parts.loop)
        self._runs = Runs()
        self._trouble = ""
        self._load()
        self._deadlines = Deadlines(parts.loop, parts.supervisor)
        rules = Rules(self._zone, parts.reloading.kept_off, parts.leaving, self._note)
        self._ticks = Ticks((parts.loop, parts.supervisor, parts.log), self._clock, self._runs, rules)

    def apply(self, config: Config) -> None:
        """Another configuration holds; it does for the rows once this turn's work is done."""
        tasks = config.tasks
        self._parts.loop.soon(lambda: self._begin(tasks))

    def close(self) -> None:
        """Give the clock's descriptor back."""
        self._clock.close()

    def observe(self, before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """A row has changed."""
        self._deadlines.look_at(after)
        if not after.task.oneshot:
            return
        key = (after.task.name, after.n)
        match what.event:
            case Event.SPAWNED:
                self._note(self._runs.begin(key, Begun(self._now(), self._parts.by(key))))
            case Event.SPAWN_FAILED:
                reason = "" if after.failure is None else after.failure.reason
                self._note(self._runs.end(key, Run(Begun(self._now(), self._parts.by(key)), None, None, reason)))
            case Event.REAPED:
                self._note(self._runs.end(key, self._run(key, before, what)))
            case _:
                pass
        if after.at_rest:
            self._ticks.ended(after)

    # ---- what people see

    def lines(self, rows: Sequence[Process]) -> list[str]:
        """A line under the table for each that has a schedule, or a run to tell of."""
        now, lines = self._now(), []
        for row in rows:
            last = self._runs.last((row.task.name, row.n))
            if row.task.schedule is not None:
                lines.append(f"{row.name}: {self._next_text(row, now)}; {last_text(last, now)}")
            elif row.task.oneshot and last is not None and not row.alive:
                lines.append(f"{row.name}: {last_text(last, now)}")
        return lines

    def members(self, row: Process) -> dict[str, object]:
        """The same for programs: `next` and `last`."""
        if not row.task.oneshot:
            return {}
        schedule, last = self._ticks.schedules.get(row.task.name), self._runs.last((row.task.name, row.n))
        off = self._parts.reloading.kept_off((row.task.name, row.n))
        due = None if schedule is None or off else schedule.next
        return {
            "next": None if due is None or schedule is None else stamp(due, schedule.zone),
            "last": None if last is None else as_data(last, self._zone_of(row.task)),
        }

    def history(self, row: Process) -> list[str]:
        """The runs that are on record, the latest first."""
        ended = self._runs.ended.get((row.task.name, row.n), ())
        return [run_line(run, self._zone_of(row.task)) for run in reversed(ended)]

    def history_data(self, row: Process) -> dict[str, object]:
        """The same for programs, where it is a job."""
        ended = self._runs.ended.get((row.task.name, row.n), ())
        return {"runs": [as_data(run, self._zone_of(row.task)) for run in reversed(ended)]} if row.task.oneshot else {}

    def _next_text(self, row: Process, now: float) -> str:
        if self._parts.reloading.kept_off((row.task.name, row.n)):
            return f"off the schedule: stopped by hand; type: start {row.name}"
        schedule = self._ticks.schedules.get(row.task.name)
        if schedule is None or schedule.next is None:
            return "never again"
        return next_text(schedule.next, now, schedule.zone, row.task.time_zone)

    # ---- what is on record

    def _begin(self, tasks: Mapping[str, Task]) -> None:
        for row in self._parts.supervisor.rows.values():
            self._deadlines.look_at(row)
            key = (row.task.name, row.n)
            if row.task.oneshot and row.pid is not None and key not in self._runs.begun:
                self._note(self._runs.begin(key, Begun(self._since(row), self._parts.by(key))))
        self._ticks.apply(tasks)

    def _run(self, key: Key, before: Process, what: Occurrence) -> Run:
        begun = self._runs.begun.get(key) or Begun(self._since(before), self._parts.by(key))
        lived_s = None if before.spawned_at is None else round(self._parts.loop.sample() - before.spawned_at, 3)
        return Run(begun, lived_s, what.status, before.fault or what.hint)

    def _since(self, row: Process) -> float:
        """When a run began that nobody saw begin."""
        lived_s = 0.0 if row.spawned_at is None else self._parts.loop.sample() - row.spawned_at
        return round(self._now() - lived_s, 3)

    def _now(self) -> float:
        return round(self._clock.now(), 3)

    def _zone(self, name: str | None) -> tzinfo:
        return zone(name, os.environ)

    def _zone_of(self, task: Task) -> tzinfo:
        schedule = self._ticks.schedules.get(task.name)
        return self._zone(task.time_zone) if schedule is None else schedule.zone

    def _load(self) -> None:
        bad = 0
        try:
            for line in self._file.load():
                try:
                    self._runs.take(line)
                except ValueError:
                    bad += 1
        except OSError as error:
            self._say(f"the runs of jobs in {self._file.path} cannot be read ({_why(error)}); going on without")
        if bad:
            self._say(f"{bad} line(s) of {self._file.path} make no sense, and are left out")

    def _note(self, line: str) -> None:
        """Put a line on record, and write all of them anew where there are too many."""
        if not line:
            return
        try:
            if self._file.append(line):
                tasks = self._parts.reloading.config.tasks
                self._runs.keep(lambda name: name in tasks)
                self._file.replace(self._runs.lines())
            self._trouble = ""
        except OSError as error:
            self._say(
                f"the runs of jobs cannot be written to {self._file.path} ({_why(error)}): they are forgotten later"
            )

    def _say(self, sentence: str) -> None:
        if sentence != self._trouble:
            self._parts.log.write(Level.WARNING, "taskmaster", "runs", sentence)
        self._trouble = sentence


def _why(error: OSError) -> str:
    return os.strerror(error.errno or 0)
