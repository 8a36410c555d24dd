"""Start, stop and restart: what an operator wishes, from the rows that he named to what is asked of the supervisor.

Guarantees: what is wished is remembered before it is carried out; what is needed by what is started is started as well,
and that is said; what is needed is asked for first, and to stop last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tm.core.process import Process
from tm.core.records import Level
from tm.core.reload import lasting
from tm.core.saved import Key
from tm.core.transitions import Event, Refused
from tm.daemon.answers import Answer, Outcome
from tm.daemon.log_sources import key_of
from tm.daemon.reloading import Reloading
from tm.daemon.supervisor import Supervisor
from tm.edge.eventlog import EventLog

WISHES = {"start": Event.START, "stop": Event.STOP, "restart": Event.RESTART}
_NAMED = 10


class Asking:
    """`tell` is for what becomes known after the answer."""

    def __init__(
        self, supervisor: Supervisor, reloading: Reloading, log: EventLog, tell: Callable[[str], None]
    ) -> None:
        self._supervisor = supervisor
        self._reloading = reloading
        self._log = log
        self._tell = tell
        self._trouble = ""

    def wish(self, verb: str, rows: Sequence[Process], several: bool, by: str) -> Answer:
        """Ask it of these rows; `several`: they are more than were named."""
        keys, held = [key_of(row) for row in rows], self._supervisor.held
        up = verb != "stop"
        needed = [key for key in held.needed(keys) if key not in set(keys)] if up else []
        self.remember([*needed, *keys], up)
        lines, refusals = list[str](), list[str]()
        answered = False

        def heard(row: Process, refused: Refused | None) -> None:
            """What is already so is worth a word where it was named, not where it is one of many."""
            off = row.task.schedule is not None and verb == "stop"
            if refused is not None and (off or not several):
                text = f"Process '{row.name}' is off its schedule until it is started" if off else refused.reason
                (self._tell if answered else lines.append if off else refusals.append)(text)

        for key in needed:
            self._supervisor.ask(key, Event.START, by=by)
        for key in held.ordered(keys) if up else reversed(held.ordered(reversed(keys))):
            self._supervisor.ask(key, WISHES[verb], heard, by)
        answered = True
        others = [self._supervisor.rows[key].name for key in needed]
        also = [f"Starting {_named(others)} as well, needed by {_named([row.name for row in rows])}"] if others else []
        asked = {"refused": list(refusals), "asked": [row.name for row in rows], "needed": others}
        return Answer([*also, *lines, *refusals], asked, Outcome.FAILED if refusals else Outcome.DONE)

    def remember(self, keys: Sequence[Key], up: bool) -> None:
        """An operator wishes these up, or down."""
        kept = {key: self._supervisor.rows[key].task for key in keys if self._supervisor.keeps(key)}
        self.note(self._reloading.remember({key: lasting(task, up) for key, task in kept.items()}))

    def note(self, trouble: str) -> None:
        """A wish could not be kept, or, where that is '', it could."""
        if trouble:
            self._log.write(Level.WARNING, "taskmaster", "wishes", trouble)
        if trouble and trouble != self._trouble:
            self._tell(trouble)
        self._trouble = trouble


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:_NAMED]) + more
