"""What a process may become before it is restarted: how old (`maxAge`), how big (`memoryMax`).

Guarantees: a limit that a reload changes holds for what runs; nobody is looked at, and nothing wakes the daemon, but
for tasks that have such a limit; whatever is known is in the rows, so that a daemon that takes over goes on.
Leaves to others: when an age is reached (`core.age`), how memory is measured (`daemon.weighing`), what follows
(`core.transitions`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tm.core.age import aged_at
from tm.core.config import Config
from tm.core.effects import Send
from tm.core.once import Once
from tm.core.process import Occurrence, Process
from tm.core.report import uptime
from tm.core.transitions import Event
from tm.daemon.adoption import Parties
from tm.daemon.row_timers import RowTimers
from tm.daemon.ward import Ward
from tm.daemon.wiring import Key

if TYPE_CHECKING:
    from tm.daemon.weighing import Weighing


class Limits:
    """Of all processes of one daemon."""

    def __init__(self, parties: Parties, ward: Ward) -> None:
        self._loop = parties.loop
        self._supervisor = parties.supervisor
        self._reach = parties.machine.reach
        self._ward = ward
        self._ages = RowTimers(self._loop, self._aged)
        self._weighing: Weighing | None = None
        self._soon = Once(parties.loop.soon, self._hold_all)

    def observe(self, _before: Process, _what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """A row has changed: its age is that of another process, or nobody's."""
        self._hold((after.task.name, after.n), after)

    def begin(self, config: Config) -> None:
        """These are the tasks, before any of them is started."""
        if any(task.memory_max_bytes is not None for task in config.tasks.values()):
            self._reach.weigh({os.getpid(), self._ward.guardian})

    def apply(self, config: Config) -> None:
        """Another configuration holds, which the rows have at the end of this turn."""
        self.begin(config)
        self._soon.ask()

    def forget(self, key: Key) -> None:
        """The row is gone."""
        self._ages.disarm(key)

    def _hold_all(self) -> None:
        for key, row in self._supervisor.rows.items():
            self._hold(key, row)

    def _hold(self, key: Key, row: Process) -> None:
        self._ages.arm(key, aged_at(row))
        if row.task.memory_max_bytes is not None and row.pid is not None:
            if self._weighing is None:
                from tm.daemon.weighing import Weighing  # few have the key

                self._weighing = Weighing(self._loop, self._supervisor, self._reach)
            self._weighing.go_on()

    def _aged(self, key: Key) -> None:
        """A timer has come; by now the process may be another one."""
        row = self._supervisor.rows[key]
        if row.pid is not None and (deadline := aged_at(row)) is not None and deadline <= self._loop.now:
            age = uptime(self._loop.now - (row.spawned_at or self._loop.now))
            self._supervisor.found(row.pid, Event.AGED, f"maxAge: it is {age} old")
