"""How many instances of a task an operator wishes: what `scale` has set, in place of what the file says.

Guarantees: such a wish holds as long as the file says the same as when it was made; one that would give two processes
one name does not hold.
Leaves to others: keeping wishes (`edge.wishes`), carrying them out (`daemon.reloading`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from tm.core.config import Config
from tm.core.namesakes import namesakes


class Scale(NamedTuple):
    """`given`: what `instances` said when it was wished; `wished`: what it is instead."""

    given: int
    wished: int


def settled(config: Config, scales: Mapping[str, Scale]) -> tuple[Config, dict[str, Scale]]:
    """The configuration as it is carried out, and the wishes that hold under it."""
    holding = {}
    for name, each in scales.items():
        task = config.tasks.get(name)
        if task is not None and task.instances == each.given != each.wished:
            wished = scaled(config, name, each.wished)
            if not clash(wished, name):
                config, holding[name] = wished, each
    return config, holding


def scaled(config: Config, name: str, count: int) -> Config:
    """The same with another number of instances of a task."""
    return replace(config, tasks={**config.tasks, name: replace(config.tasks[name], instances=count)})


def clash(config: Config, name: str) -> str:
    """The name that two processes would have because of the number of instances of this task, or ''."""
    return next((single.name for single, several in namesakes(config.tasks) if name in (single.name, several.name)), "")
