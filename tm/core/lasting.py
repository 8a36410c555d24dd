"""From a process to what lasts of it beyond its daemon, and back.

Guarantees: everything of a `Process` but `failure` and the task's policy comes back as it was.
Leaves to others: the lasting row itself, from and to JSON (`core.saved`).
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from tm.core.process import Process
from tm.core.saved import Identity, Saved
from tm.core.task import Task
from tm.core.transitions import State

NOBODY: Final = Identity()
# fmt: off
_SHARED: Final = (
    "n", "pid", "wanted_up", "retries", "shortages", "restarts", "since", "spawned_at", "auto_started_at",
    "exit_status", "hint", "fault", "proven", "blocked", "held",
)
# fmt: on
"""What a process and its saved row call by the same name."""
_read: Final = attrgetter(*_SHARED)


def saved(
    process: Process,
    generation: int,
    identity: Identity = NOBODY,
    pipes: Mapping[str, int] | None = None,
    imprint: str = "",
) -> Saved:
    """What lasts of a process; all but `failure`."""
    shared: dict[str, Any] = dict(zip(_SHARED, _read(process), strict=True))
    task, state = process.task.name, process.state.value
    known: dict[str, Any] = {"start": identity.start, "identity": identity.number, "pipes": pipes or {}}
    return Saved(task, generation=generation, state=state, imprint=imprint, **known, **shared)


def restored(row: Saved, task: Task, restart_floor_s: float) -> Process:
    """The process again, of the task as it is now. STARTED without a pid is an open intent: the caller settles it."""
    shared: dict[str, Any] = {name: getattr(row, name) for name in _SHARED}
    return Process(task, restart_floor_s=restart_floor_s, state=State(row.state), **shared)
