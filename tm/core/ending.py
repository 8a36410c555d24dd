"""When the tasks themselves end the daemon, and with which exit code: what holds in a container.

Guarantees: what an operator has stopped ends nothing; the code is the one that a shell would give.
Leaves to others: carrying it out (`daemon.ending`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tm.core.process import Process

NOT_STARTED: Final = 127
FAILED: Final = 1
_SIGNALLED: Final = 128


def over(row: Process) -> bool:
    """Whether it was started, has ended for good, and nobody has asked for that."""
    return row.at_rest and row.wanted_up and not row.blocked and row.task.schedule is None


def exit_code(row: Process) -> int:
    """What the daemon exits with because of a critical process that is over. What failed is never 0."""
    if row.failure is not None:
        return NOT_STARTED
    if row.exit_status is None or row.exit_status.number is None:
        return FAILED
    number = row.exit_status.number
    code = number if number >= 0 else _SIGNALLED - number
    return code or (FAILED if row.gave_up else 0)


def nothing_left(rows: Collection[Process]) -> bool:
    """Whether nothing is alive, due or on a schedule. What waits for others then waits in vain."""
    return all(row.at_rest and row.task.schedule is None for row in rows)


def code_of_all(rows: Collection[Process]) -> int:
    """What the daemon exits with when nothing is left: whether one of them has failed, or waits in vain."""
    return FAILED if any(row.blocked or (over(row) and row.gave_up) for row in rows) else 0
