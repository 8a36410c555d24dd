"""What only some tasks need: made, and imported, with the first configuration that has one.

Guarantees: whatever is made here hears of every change of a row that comes after.
Leaves to others: what it does (`daemon.jobs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tm.core.config import Config
from tm.core.task import Task
from tm.daemon.control import Control
from tm.daemon.reloading import Reloading
from tm.daemon.supervisor import Supervisor
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop

if TYPE_CHECKING:
    from tm.daemon.jobs import Jobs


class OnDemand:
    """Of one daemon."""

    def __init__(self, parts: tuple[Loop, Supervisor, EventLog], reloading: Reloading, control: Control) -> None:
        self._loop, self._supervisor, self._log = parts
        self._reloading, self._control = reloading, control
        self._jobs: Jobs | None = None

    def begin(self, config: Config) -> None:
        """Before any row changes: these will be the tasks."""
        self._engage(config)

    def apply(self, config: Config) -> None:
        """Another configuration holds."""
        self._engage(config)
        if self._jobs is not None:
            self._jobs.apply(config)

    def close(self) -> None:
        """Give back what was opened."""
        if self._jobs is not None:
            self._jobs.close()

    def _engage(self, config: Config) -> None:
        if self._jobs is None and any(map(_is_job, config.tasks.values())):
            from tm.daemon.jobs import Jobs, Parts

            where = self._loop, self._supervisor, self._reloading, self._log
            self._jobs = Jobs(Parts(*where, lambda: self._control.leaving, self._by))
            observers = self._supervisor.observers  # it comes after who asked is known, and before the journal
            observers.insert(observers.index(self._control.history.observe) + 1, self._jobs.observe)
            self._control.views.facts.jobs = self._jobs

    def _by(self, key: Key) -> str:
        change = self._control.history.last.get(key)
        return "" if change is None else change.by


def _is_job(task: Task) -> bool:
    return task.oneshot or task.deadline_s is not None
