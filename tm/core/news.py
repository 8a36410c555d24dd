"""What is new in a configuration for whoever has another one: what goes from the process that reads to the daemon.

Guarantees: a task that is the same, to the place where it stands, does not come, so that nothing has to be compared, or
made anew, for it.
Leaves to others: the way between the two (`daemon.readings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tm.core.config import Config
from tm.core.settings import Settings
from tm.core.task import Task


class News(NamedTuple):
    """A configuration to whom another one is known. `names`: all its tasks, in order; `moved`: those that ask for the
    same as before, and only stand elsewhere.
    """

    path: str
    settings: Settings
    names: tuple[str, ...]
    moved: frozenset[str]


def news(known: Mapping[str, Task], found: Config) -> tuple[News, list[Task]]:
    """What of `found` is not known: the tasks that are others, or stand elsewhere."""
    alike = {name for name, task in found.tasks.items() if known.get(name) == task}
    same = {name for name in alike if _places(known[name]) == _places(found.tasks[name])}
    others = [task for name, task in found.tasks.items() if name not in same]
    return News(found.path, found.settings, tuple(found.tasks), frozenset(alike - same)), others


def told(known: Mapping[str, Task], new: News, came: Mapping[str, Task]) -> Config:
    """The configuration: what came, and what was known."""
    return Config(new.path, {name: came.get(name) or known[name] for name in new.names}, new.settings)


def _places(task: Task) -> tuple[object, ...]:
    """Where it stands."""
    return task.places, [need.place for need in task.depends_on]
