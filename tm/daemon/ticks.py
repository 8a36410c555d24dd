"""Schedules: when each is due, and what a tick does.

Guarantees: the next time is always reckoned from the wall clock, and again whenever that is set; a tick is carried out
once, also where a daemon is killed in the middle of it; nobody who was stopped by hand is started.

* A tick that is noticed more than LATE_S after its time, since no daemon was there, the machine slept or the clock was
  set forward, is told and not made up; of several within that time only the latest counts. So the seconds in which
  one daemon follows another lose nothing, and a machine that was off for a week begins with no crowd.
* Where the clock is set back a little (a correction; for a schedule of fixed times up to three hours, as cron has it),
  times that were seen to do not come again. Where it is set back further the new time counts.
* A run that waits for its next attempt has ended: a tick begins a new one, with a new count, whatever `overlap` says.

Up to when a schedule was seen to is on record only after its runs were asked for: a daemon that is killed in between
finds the run, by the time at which that began, and knows that it is the one.
Leaves to others: schedules (`core.cron`), the clock (`edge.wall_clock`), what is on record (`daemon.jobs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Final, NamedTuple, Protocol

from tm.core.cron import FOLD_S, Cron, after, parse
from tm.core.process import Process
from tm.core.records import Level
from tm.core.runs import Mark, Runs, stamp
from tm.core.task import Overlap, Task
from tm.core.transitions import Event
from tm.daemon.supervisor import Supervisor
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop

LATE_S: Final = 60
SCHEDULE: Final = "its schedule"
"""On whose behalf."""


class Clock(Protocol):
    """The wall clock (`edge.wall_clock`)."""

    rings: Callable[[], None]

    def now(self) -> float:
        """Seconds since 1970."""

    def set_alarm(self, at: float | None) -> None:
        """Ring then, and whenever the clock is set."""


class Rules(NamedTuple):
    """What a tick has to ask. `zone` finds one by its name; `off`: an operator has stopped it; `leaving`: the daemon
    starts nothing any more; `note` puts a line on record.
    """

    zone: Callable[[str | None], tzinfo]
    off: Callable[[Key], bool]
    leaving: Callable[[], bool]
    note: Callable[[str], None]


@dataclass
class Schedule:
    """One task's. `text`: as it is known on record; `next`: None where that is beyond all calendars."""

    text: str
    cron: Cron
    zone: tzinfo
    next: int | None = None


class Ticks:
    """All schedules of a daemon."""

    def __init__(self, parts: tuple[Loop, Supervisor, EventLog], clock: Clock, runs: Runs, rules: Rules) -> None:
        self._loop, self._supervisor, self._log = parts
        self._clock, self._runs, self._rules = clock, runs, rules
        self._clock.rings = self.look
        self._fresh = True
        self.schedules: dict[str, Schedule] = {}

    def apply(self, tasks: Mapping[str, Task]) -> None:
        """Follow the schedules of these. One that is new, or another one now, counts from now on."""
        now = self._clock.now()
        wanted = {name: task for name, task in tasks.items() if task.schedule is not None}
        self.schedules = {name: self._schedule(task) for name, task in wanted.items()}
        for name, schedule in self.schedules.items():
            mark = self._runs.marks.get(name)
            if mark is None or mark.schedule != schedule.text:
                self._mark(name, Mark(schedule.text, now))
        if self._fresh:
            self._forget_begun()
        self.look()
        self._fresh = False
        for name in wanted:
            for n in self._runs.marks[name].queued:
                self._look_at_queue((name, n))

    def look(self) -> None:
        """See what is due, and when the next one is."""
        now = self._clock.now()
        for name, schedule in self.schedules.items():
            self._see_to(name, schedule, now)
        ahead = [each.next for each in self.schedules.values() if each.next is not None]
        self._clock.set_alarm(min(ahead, default=None))

    def ended(self, row: Process) -> None:
        """A run is over, and none of its attempts is due."""
        mark = self._runs.marks.get(row.task.name)
        if mark is not None and row.n in mark.queued:
            self._loop.soon(partial(self._look_at_queue, (row.task.name, row.n)))

    def _schedule(self, task: Task) -> Schedule:
        assert task.schedule is not None
        zone = self._rules.zone(task.time_zone)
        return Schedule(f"{task.schedule} {task.time_zone or ''}".rstrip(), parse(task.schedule), zone)

    def _see_to(self, name: str, schedule: Schedule, now: float) -> None:
        begin = self._begin(schedule.cron, name, now)
        due = after(schedule.cron, int(begin), schedule.zone)
        if due is not None and due <= now:
            latest = self._latest(schedule, max(begin, now - LATE_S), now)
            if due < now - LATE_S:
                text = f"missed at {stamp(due, schedule.zone)}, and what followed until now: not made up"
                self._log.write(Level.WARNING, name, "schedule", text)
            if latest is not None:
                self._fire(name, latest)
            self._mark(name, self._runs.marks[name]._replace(seen=now))
            due = after(schedule.cron, int(now), schedule.zone)
        schedule.next = due

    def _begin(self, cron: Cron, name: str, now: float) -> float:
        """Up to when it was seen to; where the clock was set back by more than a correction, that is now."""
        mark, back_s = self._runs.marks[name], LATE_S if cron.repeats else FOLD_S
        if mark.seen <= now + back_s:
            return mark.seen
        self._mark(name, mark._replace(seen=now))
        return now

    def _latest(self, schedule: Schedule, begin: float, now: float) -> int | None:
        """The last tick after `begin` that is due by now."""
        latest, due = None, after(schedule.cron, int(begin), schedule.zone)
        while due is not None and due <= now:
            latest, due = due, after(schedule.cron, due, schedule.zone)
        return latest

    def _fire(self, name: str, due: int) -> None:
        """The tick of `due`, for each instance that the task has."""
        if self._rules.leaving():
            return
        for key, row in list(self._supervisor.rows.items()):
            begun = self._fresh and self._runs.latest(key) >= due
            if key[0] == name and not begun and self._supervisor.keeps(key) and not self._rules.off(key):
                self._tick(key, row)

    def _tick(self, key: Key, row: Process) -> None:
        if not row.alive:
            self._supervisor.ask(key, Event.START, by=SCHEDULE)
            return
        match row.task.overlap:
            case Overlap.KILL:
                self._log.write(
                    Level.INFO, row.name, "schedule", "due: its last run goes on, and is ended for this one"
                )
                self._supervisor.ask(key, Event.RESTART, by=SCHEDULE)
            case Overlap.QUEUE:
                self._log.write(Level.INFO, row.name, "schedule", "due: its last run goes on, this one waits for it")
                mark = self._runs.marks[key[0]]
                self._mark(key[0], mark._replace(queued=tuple({*mark.queued, key[1]})))
            case _:
                self._log.write(Level.INFO, row.name, "schedule", "due: its last run goes on, so this one is left out")

    def _forget_begun(self) -> None:
        """The daemon before was killed when it had begun what waited, and before that was on record."""
        for name in self.schedules:
            mark = self._runs.marks[name]
            waiting = tuple(n for n in mark.queued if self._runs.latest((name, n)) <= mark.seen)
            if waiting != mark.queued:
                self._mark(name, mark._replace(queued=waiting))

    def _look_at_queue(self, key: Key) -> None:
        """Begin what has waited, where the run that it waited for is over."""
        row, mark = self._supervisor.rows.get(key), self._runs.marks.get(key[0])
        if mark is None or key[1] not in mark.queued or (row is not None and not row.at_rest):
            return
        if row is not None and not self._rules.off(key) and not self._rules.leaving():
            self._supervisor.ask(key, Event.START, by=SCHEDULE)
        self._mark(key[0], mark._replace(queued=tuple(n for n in mark.queued if n != key[1])))

    def _mark(self, name: str, mark: Mark) -> None:
        self._rules.note(self._runs.mark(name, mark))
