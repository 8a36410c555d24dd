"""Whether the machine has room for a configuration: taskmaster's own limit raised, and what is still lacking told.

Guarantees: a lack is a warning, and what finds room is started.
A process whose next daemon would have no descriptor to know it by is not started (`too_few`): it would be taken for
dead, and started a second time.
Leaves to others: the arithmetic and the sentences (`core.demand`), the limits (`edge.capacity`).
"""

from __future__ import annotations

import errno
import os

from tm.core import demand
from tm.core.config import Config
from tm.core.launch import SpawnFailure
from tm.daemon.failures import shortage
from tm.edge import capacity

_SPARE = 16
"""So many are left for what is open for a moment only: in a start, and in the looks of a daemon that takes over."""


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


def too_few(unheld: int) -> SpawnFailure | None:
    """Why no further process may be started, beside `unheld` ones of which the next daemon needs a pidfd each."""
    left = capacity.left()
    if left is None or left > unheld + _SPARE:
        return None
    reason = f"no descriptors left for a next daemon to take it over: {os.strerror(errno.EMFILE)}"
    return SpawnFailure("takeover", reason, shortage(errno.EMFILE), shortage=True)
