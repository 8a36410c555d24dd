"""What a step of the table owes: the effects, as values, in the order in which they are to be done.

Leaves to others: which step owes what (`core.process`), and doing it (`daemon.supervisor`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Spawn:
    """Owed: start the program, then post SPAWNED or SPAWN_FAILED before anything else of this row but a wish."""


@dataclass(frozen=True, slots=True)
class Send:
    """Owed: send `signum` to the process `pid`, as its `killMode` says."""

    pid: int
    signum: int


@dataclass(frozen=True, slots=True)
class Await:
    """Owed: do what comes before its stop signal, then post TIMEOUT, if it still waits for that."""


Effect: TypeAlias = Spawn | Send | Await
