"""How old a process may become (`maxAge`), and that instances do not come to it together.

Guarantees: the instant is derived from the row alone, so that it is the same for a daemon that takes over, and moves
with a `maxAge` that a reload changes; the 10 % either way are a hash of the instance and the instant of its start.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from tm.core.process import Process
from tm.core.timers import Instant

JITTER: Final = 0.1


def aged_at(row: Process) -> Instant | None:
    """When it is to be restarted for its age; None where that is never, and until it has proven that it is up: it
    would never come to be.
    """
    limit_s = row.task.max_age_s
    if limit_s is None or row.spawned_at is None or not row.running:
        return None
    fraction = crc32(f"{row.task.name} {row.n} {row.spawned_at!r}".encode()) / 0xFFFFFFFF
    return Instant(row.spawned_at + limit_s * (1 - JITTER + 2 * JITTER * fraction))
