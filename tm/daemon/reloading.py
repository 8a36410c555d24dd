"""Reading the configuration for a daemon that lives: boot, reload, check, and what the disk has meanwhile.

Guarantees: a configuration is applied whole or not at all; a reading that failed changes nothing and is remembered
until one succeeds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tm.core.config import Config
from tm.core.errors import ConfigError
from tm.core.process import Process
from tm.core.reload import Plan, keys_of, plan_for
from tm.core.scale import Scale, settled
from tm.core.task import Task
from tm.daemon.supervisor import Supervisor
from tm.daemon.wiring import Key
from tm.edge.wishes import Wishes, save
from tm.edge.world import Machine as World


class Reading(NamedTuple):
    """A configuration that was read and checked, with the world as it was then."""

    config: Config
    world: World


class Reloading:
    """The daemon's configuration (`config`), with as many instances as operators wish, and its source. `problems`: why
    the last reading failed, or None. `state` is the state directory. `on_loaded` hears of each reading that holds from
    now on; `wishes` are those of operators.
    """

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
        self.lacking: list[str] = []
        """What the machine may have too little of for the configuration that holds, in sentences."""
        self.on_loaded: Callable[[Reading], None] = lambda reading: None

    @property
    def directory(self) -> str:
        """Where taskmaster was started: what relative paths mean."""
        return self.reading.world.cwd

    def boot(self, supervisor: Supervisor) -> Plan:
        """From nothing to the configuration that was read before the start."""
        plan = supervisor.apply(self.config, self.wishes.up)
        self._forget_over(supervisor)
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

    def read(self, path: str | None = None) -> Reading:
        """Read and check a configuration, the daemon's own when no path is given. Raises ConfigError."""
        return self._read(path or self.config.path)

    def plan(self, supervisor: Supervisor) -> Plan:
        """What a reload would do. Raises ConfigError."""
        return plan_for(supervisor.config, settled(self.read().config, self.wishes.scales)[0])

    def reload(self, supervisor: Supervisor, by: str) -> Plan:
        """Read, check, and carry out the difference on behalf of `by`. Raises ConfigError and changes nothing."""
        try:
            reading = self.read()
        except ConfigError as error:
            self.problems = error
            raise
        self.problems = None
        self.reading = reading
        self.config, self._scales_over = self._settled(reading.config)
        self.on_loaded(reading)
        plan = supervisor.apply(self.config, self.wishes.up, by)
        self._forget_over(supervisor)
        return plan

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

    def _settled(self, config: Config) -> tuple[Config, bool]:
        """What is carried out of what was read, and whether a wish is over because the file says something else."""
        before = self.wishes.scales
        found, self.wishes.scales = settled(config, before)
        return found, self.wishes.scales != before

    def _forget_over(self, supervisor: Supervisor) -> None:
        """Wishes end with their instances; where that cannot be written now, it is when the next wish is."""
        kept = keys_of(supervisor.config)
        gone = [key for key in self.wishes.up if key not in kept]
        for key in gone:
            del self.wishes.up[key]
        if gone or self._scales_over:
            self._scales_over = False
            self.remember({})


def _runs_by_itself(task: Task) -> bool:
    return task.auto_launch or task.schedule is not None


def empty(config: Config) -> Config:
    """The same without tasks: where a boot begins and a shutdown ends."""
    return Config(path=config.path, tasks={}, settings=config.settings)
