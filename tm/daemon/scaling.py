"""`scale TASK N`: another number of instances by an operator's wish.

Guarantees: what is refused changes nothing; the wish is remembered before it is carried out.
Leaves to others: how long it holds (`core.scale`), carrying it out (`daemon.reloading`).
"""

from __future__ import annotations

from collections.abc import Callable

from tm.core.commands import Command
from tm.core.errors import nearest
from tm.core.records import Level
from tm.core.reload import as_data, describe
from tm.core.scale import clash, scaled
from tm.core.select import NotFound
from tm.daemon.answers import Answer, Outcome, failed
from tm.daemon.reloading import Reloading
from tm.daemon.supervisor import Supervisor
from tm.edge.eventlog import EventLog

_WORD_SHOWN = 80


class Scaling:
    """What it does with a daemon. `noted` hears why a wish could not be kept, or ''."""

    def __init__(
        self, supervisor: Supervisor, reloading: Reloading, log: EventLog, noted: Callable[[str], None]
    ) -> None:
        self._supervisor = supervisor
        self._reloading = reloading
        self._log = log
        self._noted = noted

    def scale(self, command: Command, by: str) -> Answer:
        """Carry it out on behalf of `by`."""
        name, count = command.words[0], command.count
        config = self._supervisor.config
        if name not in config.tasks:
            return failed(str(NotFound(name[:_WORD_SHOWN], nearest(name, config.tasks))), Outcome.NO_SUCH_TASK)
        assert count is not None
        if other := clash(scaled(config, name, count), name):
            return failed(f"Task '{name}' cannot have {count} instances: two processes would be named '{other}'.")
        had = config.tasks[name].instances
        plan, trouble = self._reloading.scale(self._supervisor, name, count, by)
        self._noted(trouble)
        self._log.write(Level.INFO, name, "scale", f"{'; '.join(describe(plan)) or 'nothing changed'}, by {by}")
        return Answer([*self._told(name, had, count), *self._reloading.lacking], as_data(plan))

    def _told(self, name: str, had: int, count: int) -> list[str]:
        given = self._reloading.reading.config.tasks[name].instances
        until = "" if given == count else f"; the file says {given}, which holds again once it says another number"
        if had == count:
            return [f"Task '{name}' has {_counted(count)} already{until}"]
        return [f"Task '{name}' scaled: {had} -> {_counted(count)}{until}"]


def _counted(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"
