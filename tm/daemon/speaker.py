"""One start of an instance that says something of itself: its socket, what it has said, and when silence is too long.

Guarantees: what is noted beside the socket is enough to go on with it; whatever a note holds, nothing worse comes of it
than a beginning anew.
Leaves to others: listening (`daemon.ears`), and the timers of silence (`daemon.silence`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tm.core.process import Process
from tm.core.timers import Instant, Timer
from tm.core.utterance import STOPPING, Said
from tm.daemon.wiring import Key
from tm.edge.ear import Ear

_NEVER: Final = Instant(0.0)
PATIENCE: Final = 16
"""So many turns it takes to read all that a socket can hold, where the kernel lets it hold 512."""


def which(facts: Mapping[str, Any]) -> tuple[str, int, str]:
    """Of which start a note is: task, number of the instance, generation; of none where it makes no sense."""
    match facts.get("task"), facts.get("n"), facts.get("generation"):
        case str(task), int(n), str(generation):
            return task, n, generation
        case _:
            return "", 0, ""


@dataclass(slots=True)
class Speaker:
    """`generation`: which start it is; `heard_at`: the last sign of life; `stop_by`: when it has to be gone that has
    said STOPPING=1; `until`: the extension it asked for of the deadline that it had `since` when it was in its state.
    """

    key: Key
    ear: Ear
    generation: str
    pid: int = 0
    said: Said = field(default_factory=Said)
    heard_at: Instant = _NEVER
    stop_by: Instant | None = None
    until: Instant | None = None
    since: Instant | None = None
    patience: int = PATIENCE
    timer: Timer[Callable[[], None]] | None = None

    def note(self) -> None:
        """Put it down for who comes next."""
        task, n = self.key
        facts = {"task": task, "n": n, "generation": self.generation, "until": self.until, "since": self.since}
        self.ear.note(facts | self.said._asdict())

    def recall(self, facts: Mapping[str, Any], row: Process, now: Instant) -> None:
        """What was noted, but for a main process, of which has to be seen whether it is still that; an extension only
        where it is of the deadline that the row has.
        """
        status, phase, until = facts.get("status"), facts.get("phase"), facts.get("until")
        if isinstance(status, str) and isinstance(phase, str):
            self.said = Said(status, phase)
        if isinstance(until, float) and facts.get("since") == row.since:
            self.until, self.since = Instant(until), row.since
        self.heard_at = now
        if phase == STOPPING:
            self.stop_by = Instant(now + row.task.graceful_stop_timeout_s)

    def deadline(self, row: Process) -> tuple[Instant, str] | None:
        """When it has to be gone, or to have shown that it lives, and what is wrong with it if not."""
        if row.stopping:
            return None
        if self.stop_by is not None:
            return self.stop_by, "it said STOPPING=1, and had not ended when its grace was over"
        period_s = row.task.watchdog_s
        if period_s is None or not row.running:
            return None
        return Instant(self.heard_at + period_s), f"watchdog: nothing heard for {period_s:g}s"
