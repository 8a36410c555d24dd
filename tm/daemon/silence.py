"""When silence is held against an instance: its timer, and the last look before the table hears of it.

Guarantees: one timer a speaker, which a sign of life does not move: it finds out when it comes, so that a program that
shows often that it lives costs no more than one that does not; what was sent in time is read before anything is said,
also by a daemon that was itself stopped meanwhile.
Leaves to others: which deadline there is (`daemon.speaker`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tm.core.process import Process
from tm.core.transitions import Event
from tm.daemon.speaker import Speaker
from tm.daemon.supervisor import Supervisor
from tm.edge.loop import Loop


class Silence:
    """Of all speakers of a daemon. `listen` reads some of what one has sent, and says whether that was all."""

    def __init__(self, loop: Loop, supervisor: Supervisor, listen: Callable[[Speaker], bool]) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._listen = listen

    def arm(self, speaker: Speaker, row: Process) -> None:
        """Let the timer come when its deadline does, or earlier."""
        found, timer = speaker.deadline(row), speaker.timer
        if found is not None and timer is not None and timer.item is not None and timer.deadline <= found[0]:
            return
        self.disarm(speaker)
        if found is not None:
            speaker.timer = self._loop.call_at(found[0], partial(self._due, speaker))

    def disarm(self, speaker: Speaker) -> None:
        """Nothing is held against it."""
        if speaker.timer is not None:
            self._loop.cancel(speaker.timer)
            speaker.timer = None

    def _due(self, speaker: Speaker) -> None:
        speaker.timer = None
        emptied = self._listen(speaker)
        row = self._supervisor.rows.get(speaker.key)
        if row is None or row.pid != speaker.pid or (found := speaker.deadline(row)) is None:
            return
        if found[0] > self._loop.sample():
            self.arm(speaker, row)
        elif not emptied and speaker.patience > 0:
            speaker.patience -= 1
            speaker.timer = self._loop.call_in(0.0, partial(self._due, speaker))
        else:
            self._supervisor.found(speaker.pid, Event.UNHEALTHY, found[1])
