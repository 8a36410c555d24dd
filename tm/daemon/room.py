"""Whether the machine has room for a configuration: taskmaster's own limit raised, and what is still lacking told.

Guarantees: a lack is a warning, and what finds room is started.
Leaves to others: the arithmetic and the sentences (`core.demand`), the limits (`edge.capacity`).
"""

from __future__ import annotations

from tm.core import demand
from tm.core.config import Config
from tm.edge import capacity

_SPARE = 16
"""Descriptors for what is open for a moment only."""


def make_room(config: Config, guardian: int) -> list[str]:
    """Before its processes are started: raise the limit of open files, also of the guardian (its pid, or our own), as
    far as that is needed and allowed; what is lacking then, a sentence each.
    """
    need = demand.demand(config)
    capacity.provide(need.descriptors, guardian)
    return demand.lacking(config, need, capacity.room())


def lacking(config: Config) -> list[str]:
    """What is lacking for it, a sentence each."""
    return demand.lacking(config, demand.demand(config), capacity.room())


def has_spare() -> bool:
    """Whether one more may be held for long."""
    left = capacity.left()
    return left is None or left > _SPARE


def for_pidfds(rows: int) -> bool:
    """Whether a daemon that takes over so many processes may hold a descriptor for each, and still open their logs."""
    left = capacity.left()
    return left is None or left >= rows + min(demand.OPEN_LOGS, 2 * rows) + _SPARE
