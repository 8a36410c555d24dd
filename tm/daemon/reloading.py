"""Reading the configuration for a daemon that lives: boot, reload, check, and what the disk has meanwhile.

Guarantees: a configuration is applied whole or not at all; a reading that failed changes nothing and is remembered
until one succeeds. Files are read apart (`daemon.readings`): what takes long is not waited for.
"""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from tm.core.config import Config
from tm.core.errors import ConfigError
from tm.core.news import news, told
from tm.core.process import Process
from tm.core.reload import Plan, as_data, describe, plan_for
from tm.core.scale import Scale, settled
from tm.core.task import Task
from tm.daemon.reading import Reading
from tm.daemon.readings import End, Found, Readings, Then
from tm.daemon.room import lacking
from tm.daemon.supervisor import Supervisor
from tm.daemon.wiring import Key
from tm.edge.wishes import Wishes, save

_AT_ONCE = 20
"""So many tasks are taken over in one go."""


Reloaded: TypeAlias = Callable[["Plan | ConfigError | None"], None]
"""Hears what a reload has done, or why it has done nothing; None: it failed by a bug."""


class Reloading:
    """The daemon's configuration (`config`), with as many instances as operators wish, and its source. `problems`: why
    the last reading failed, or None. `state` is the state directory. `room` gives a file that the configuration is put
    into as it is read, `on_loaded` hears of that one when it holds; None: there is none. `wishes` are those of
    operators. `readings` is set as soon as there is a loop.
    """

    readings: Readings

    def __init__(self, reading: Reading, read: Callable[[str], Reading], wishes: Wishes, wishes_path: str) -> None:
        """`read` reads and checks a file as the command line wants it, and raises ConfigError."""
        self.reading = reading
        """What was read last, and holds."""
        self._read = read
        self.wishes = wishes
        self.config, self._scales_over = self._settled(reading.config)
        self.wishes_path, self.state = wishes_path, os.path.dirname(wishes_path)
        self.place = os.path.abspath(reading.config.path)
        self.problems: ConfigError | None = None
        self.room: Callable[[], int | None] = lambda: None
        self.on_loaded: Callable[[int | None], None] = lambda room: None
        self.lacking: list[str] = []
        """What the machine may have too little of for the configuration that holds, in sentences."""

    @property
    def directory(self) -> str:
        """Where taskmaster was started: what relative paths mean."""
        return self.reading.world.cwd

    def boot(self, supervisor: Supervisor) -> Plan:
        """From nothing to the configuration that was read before the start."""
        plan = supervisor.apply(self.config, self.wishes.up)
        self._forget_over(supervisor)
        _keep()
        return plan

    def wanted(self, row: Process) -> bool:
        """Whether it is launched at a start of the daemon."""
        return self.wishes.up.get((row.task.name, row.n), row.task.auto_launch)

    def kept_down(self, supervisor: Supervisor) -> list[str]:
        """The instances that would launch by themselves, had an operator not stopped them in an earlier life."""
        rows = supervisor.rows.items()
        return [row.name for key, row in rows if _runs_by_itself(row.task) and self.kept_off(key)]

    def kept_off(self, key: Key) -> bool:
        """Whether an operator has stopped it, and nobody has started it since."""
        return self.wishes.up.get(key) is False

    def check(self, path: str | None, then: Then) -> End:
        """Find out the path and the number of tasks of a configuration, the daemon's own when none is given, and what
        the machine may have too little of for it.
        """
        path = path or self.config.path
        return self.readings.ask(partial(self._count, path), path, then)

    def plan(self, supervisor: Supervisor, then: Then) -> End:
        """Find out what a reload would do, in words and as data."""
        return self.readings.ask(partial(self._plan, supervisor), self.config.path, then)

    def reload(self, supervisor: Supervisor, by: str, then: Reloaded) -> None:
        """Read, check, and carry out the difference on behalf of `by`."""
        room = self.room()
        take = partial(self._take, supervisor, by, room, then)
        self.readings.ask(partial(self._news, room), self.config.path, take, () if room is None else (room,))

    def scale(self, supervisor: Supervisor, name: str, count: int, by: str) -> tuple[Plan, str]:
        """Let there be `count` instances of a task, until the file says another number than now, on behalf of `by`;
        what was done, and why it is forgotten when the daemon ends, or ''. New ones are up where the others are, or
        where there were none.
        """
        given = self.reading.config.tasks[name].instances
        self.wishes.scales[name] = Scale(given, count)
        had = supervisor.config.tasks[name].instances
        rows = [row for row in supervisor.rows.values() if row.task.name == name and supervisor.keeps((name, row.n))]
        up = any(row.wanted_up for row in rows) or not rows
        self.config, _ = self._settled(self.reading.config)
        trouble = self.remember({(name, n): up for n in range(had + 1, count + 1)})
        plan = supervisor.apply(self.config, self.wishes.up, by)
        self._forget_over(supervisor)
        return plan, trouble

    def changed_on_disk(self) -> list[str]:
        """The files that are newer than what runs."""
        return self.reading.world.changed()

    def shut_down(self, supervisor: Supervisor, by: str) -> Plan:
        """From what there is to nothing."""
        return supervisor.apply(empty(supervisor.config), {}, by)

    def remember(self, wishes: Mapping[Key, bool | None]) -> str:
        """Keep what an operator wishes over the daemon's life, None: nothing; why that failed, or ''."""
        for key, up in wishes.items():
            self.wishes.up.pop(key, None)
            if up is not None:
                self.wishes.up[key] = up
        try:
            save(self.wishes_path, self.place, self.wishes)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            return f"{self.wishes_path} cannot be written ({reason}): the wish is forgotten when the daemon ends"
        return ""

    # ---- in the process that reads

    def _count(self, path: str) -> Found:
        config = self._read(path).config
        return Found((config.path, len(config.tasks), lacking(config)))

    def _plan(self, supervisor: Supervisor) -> Found:
        found = settled(self._read(self.config.path).config, self.wishes.scales)[0]
        plan = plan_for(supervisor.config, found)
        return Found((describe(plan), as_data(plan)))

    def _news(self, room: int | None) -> Found:
        """What differs from what was read before; all of it goes into `room`."""
        config, world = reading = self._read(self.config.path)
        if room is not None:
            with suppress(OSError), open(room, "wb", closefd=False) as file:
                pickle.dump(reading, file, pickle.HIGHEST_PROTOCOL)
        new, tasks = news(self.reading.config.tasks, config)
        return Found((new, world), [tasks[at : at + _AT_ONCE] for at in range(0, len(tasks), _AT_ONCE)])

    # ---- and in the daemon

    def _take(
        self, supervisor: Supervisor, by: str, room: int | None, then: Reloaded, found: Found | ConfigError
    ) -> None:
        if isinstance(found, ConfigError):
            if room is not None:
                os.close(room)
            self.problems = found
            then(found)
            return
        plan: Plan | None = None
        try:
            plan = self._apply(supervisor, by, room, found)
        finally:
            then(plan)

    def _apply(self, supervisor: Supervisor, by: str, room: int | None, found: Found) -> Plan:
        """What only stands elsewhere is known by that later: nothing has to be done for it at once."""
        _keep()
        (new, world), parts = found
        came = {task.name: task for part in parts for task in part}
        moved = {name: came[name] for name in new.moved}
        known = self.reading.config.tasks
        self.problems, self.reading = None, Reading(told(known, new, came), world)
        still = told(known, new, {name: task for name, task in came.items() if name not in moved})
        self.config, self._scales_over = self._settled(still)
        self.on_loaded(room)
        plan = supervisor.apply(self.config, self.wishes.up, by, moved)
        self.config = supervisor.config
        self._forget_over(supervisor)
        return plan

    def _settled(self, config: Config) -> tuple[Config, bool]:
        """What is carried out of what was read, and whether a wish is over because the file says something else."""
        before = self.wishes.scales
        found, self.wishes.scales = settled(config, before)
        return found, self.wishes.scales != before

    def _forget_over(self, supervisor: Supervisor) -> None:
        """Wishes end with their instances; where that cannot be written now, it is when the next wish is."""
        gone = [key for key in self.wishes.up if not supervisor.keeps(key)]
        for key in gone:
            del self.wishes.up[key]
        if gone or self._scales_over:
            self._scales_over = False
            self.remember({})


def _keep() -> None:
    """A configuration has no circles: it ends with the last who has it. Whoever looks for circles, for which the whole
    daemon waits, is not to go through all of it again and again.
    """
    gc.collect(1)
    gc.freeze()


def _runs_by_itself(task: Task) -> bool:
    return task.auto_launch or task.schedule is not None


def empty(config: Config) -> Config:
    """The same without tasks: where a boot begins and a shutdown ends."""
    return Config(path=config.path, tasks={}, settings=config.settings)
